//! The caller's trace, as `traceparent` names it (W3C Trace Context §3.2), so that its log and ours can be read together. Believed
//! from anybody: it is an id of fixed form that decides nothing, cannot forge a log line, and stands beside our own id, which alone
//! names the request. `tracestate` is other people's text and is not read.
//! Practice 8.request-metadata. Attacks: `tests/suite/attacks/s08_errors/forged_traces.rs`.

use actix_web::http::header::{HeaderMap, HeaderName};

/// Pages of allowed origins may send it.
pub(super) const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

/// Whose call this is, in the caller's tracing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TraceContext {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// The caller's span, 16 hexadecimal digits.
    pub parent_id: String,
}

impl TraceContext {
    /// What the headers say; `None` for everything that the standard calls invalid, and when they say it twice.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(TRACE_PARENT);
        let (first, second) = (all.next()?, all.next());
        if second.is_some() { None } else { Self::parse(first.to_str().ok()?) }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, '-');
        let (version, trace_id, parent_id, rest) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        // later versions may add parts behind the flags (§3.2.4)
        let flags = if version == "00" { rest } else { rest.split('-').next()? };
        let is_hex = |part: &str, length| part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_id = |part: &str, length| is_hex(part, length) && part.bytes().any(|byte| byte != b'0');
        let is_valid = is_hex(version, 2) && version != "ff" && is_id(trace_id, 32) && is_id(parent_id, 16) && is_hex(flags, 2);
        is_valid.then(|| Self { trace_id: trace_id.to_owned(), parent_id: parent_id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_standard_calls_valid_is_taken() {
        const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        const SPAN: &str = "00f067aa0ba902b7";
        let known = Some(TraceContext { trace_id: TRACE.into(), parent_id: SPAN.into() });
        for text in [format!("00-{TRACE}-{SPAN}-01"), format!("00-{TRACE}-{SPAN}-00"), format!("01-{TRACE}-{SPAN}-01-more-to-come")] {
            assert_eq!(TraceContext::parse(&text), known, "{text}");
        }
        for text in [
            String::new(),
            format!("{TRACE}-{SPAN}-01"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}0-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-01more"),
            format!("01-{TRACE}-{SPAN}-01more"),
            format!("00-{TRACE}-ada@example.org-01"),
        ] {
            assert_eq!(TraceContext::parse(&text), None, "{text}");
        }
    }
}
