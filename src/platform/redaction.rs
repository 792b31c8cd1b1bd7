//! The last line before a secret or an address is written to the log: types keep them out (practice 8.redaction), and this filter
//! takes away what gets through all the same, in the text of a library or in a record that somebody adds. It knows shapes, not
//! secrets: what looks like one of ours, or is named like one. A short code without a name gets through.
//! Attacks: `tests/suite/attacks/s08_errors/leaking_log_lines.rs`.

use regex::{Captures, Regex};
use std::{borrow::Cow, io};
use tracing_subscriber::fmt::MakeWriter;

/// What stands in the place of what was taken away.
pub const REDACTED: &str = "[redacted]";

/// Every shape needs one pass over the text, whatever is in it: what may fail far on has a bound. What `kept…` matches stays.
const SHAPES: &str = r#"(?x)
    # JSON Web Tokens, by the start of every JSON object in base64
      eyJ [\w-]{6,} \. [\w-]+ (?: \. [\w-]* )?
    # credentials in headers
    | (?P<kept_scheme> (?i:bearer) \s | Basic \s ) [\w.~+/=-]{8,}
    # our cookies
    | (?P<kept_cookie> __(?:Host|Secure)-portcullis [a-z-]* = ) [^\s;,"\\]+
    # addresses with a login, as of databases and mail servers
    | (?P<kept_url> [a-zA-Z][a-zA-Z0-9+.-]{0,20} :// ) [!-~&&[^"'\\<>@/]] [!-~&&[^"'\\<>@]]{0,255} @
    # mailboxes
    | [^\x00-\x20"'\\<>()\[\],;:=/@]{1,64} @ [\w\[] [\w.:\]-]*
    # hashes of passwords and private keys
    | \$argon2 [a-z]* \$ [^\s"\\]+
    | -----BEGIN\ [A-Z\ ]*PRIVATE\ KEY----- (?: [^"\\] | \\. )*
    # API keys, whole or cut off
    | pc_(?:live|dev)_ [0-9A-Za-z_]{8,}
    # random values in base64: session keys, refresh tokens, link tokens, CSRF tokens, keys
    | (?P<random> [A-Za-z0-9_+-]{40,} =* )
    # fields that are named like a secret: their whole value
    | (?P<kept_field> NAMES FIELD " ) (?: [^"\\] | \\. )*
    # the same within a text: nobody knows where the value ends, so the rest of the text goes with it
    | (?P<kept_pair> NAMES (?: \\+" | ' )? (?: \s* = | \( | \s* : \s* (?: \\+" | ' ) ) ) (?: [^"\\\n] | \\. )+
"#;

const NAMES: &str = "(?i: password | passwd | passphrase | secret | token | api[_-]?key | private[_-]?key | authorization | cookie | credentials? )";

/// The filter.
#[derive(Debug, Clone)]
pub struct Redactor(Regex);

impl Redactor {
    /// For lines of JSON: they stay JSON.
    ///
    /// # Errors
    /// Never; the library cannot know.
    pub fn for_json() -> Result<Self, regex::Error> {
        // a text that ends with a name must not take the next field along
        Self::with_fields(r#"" \s* : \s*"#)
    }

    /// For other text.
    ///
    /// # Errors
    /// Never; the library cannot know.
    pub fn for_text() -> Result<Self, regex::Error> {
        // names stand without quotes
        Self::with_fields(r#""? \s* [:=(] \s*"#)
    }

    fn with_fields(between: &str) -> Result<Self, regex::Error> {
        Regex::new(&SHAPES.replace("FIELD", between).replace("NAMES", NAMES)).map(Self)
    }

    /// The text without what looks like a secret or an address. Allocates only when there is something to look at.
    #[must_use]
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut redacted = 0;
        let clean = self.0.replace_all(text, |found: &Captures<'_>| {
            let Some(whole) = found.get(0) else { return String::new() };
            let is_long = found.name("random").is_some();
            if is_long && !is_random(whole.as_str()) {
                return whole.as_str().to_owned();
            }
            redacted += 1;
            let kept = found.iter().skip(1).flatten().find(|_| !is_long);
            let kept = kept.map_or_else(|| whole.as_str().get(..rest_of_escape(text, whole.start())), |kept| Some(kept.as_str()));
            format!("{}{REDACTED}", kept.unwrap_or_default())
        });
        if redacted > 0 {
            metrics::counter!("portcullis_log_redactions_total").increment(redacted);
        }
        clean
    }
}

/// Long names are of one case, digests in hexadecimal too.
fn is_random(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase()) && text.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// How many bytes from here belong to an escape that began before (`\n`, `\u001b`): without them a line would not be JSON any more.
fn rest_of_escape(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    let Some(back) = before.iter().rev().take(5).position(|byte| *byte == b'\\') else { return 0 };
    let backslashes = before.iter().rev().skip(back).take_while(|byte| **byte == b'\\').count();
    let length = if text.as_bytes().get(at - back) == Some(&b'u') { 6 } else { 2 };
    if backslashes % 2 == 1 { (length - 1_usize).saturating_sub(back) } else { 0 }
}

/// Writers whose lines go through the filter.
pub struct Redacting<M> {
    /// Where they go.
    pub inner: M,
    /// The filter.
    pub redactor: Redactor,
}

impl<'w, M: MakeWriter<'w>> MakeWriter<'w> for Redacting<M> {
    type Writer = RedactingWriter<'w, M::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        RedactingWriter { inner: self.inner.make_writer(), redactor: &self.redactor }
    }
}

/// One record's writer.
pub struct RedactingWriter<'w, W> {
    inner: W,
    redactor: &'w Redactor,
}

impl<W: io::Write> io::Write for RedactingWriter<'_, W> {
    /// The subscriber writes each record with one call.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.inner.write_all(self.redactor.redact(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn an_ordinary_line_costs_no_memory_and_little_time() {
        let line = r#"{"timestamp":"2026-11-25T08:00:00.000000Z","level":"INFO","message":"request","status":200,"method":"GET","route":"/v1/me","milliseconds":1.234,"client":"2001:db8:1:2:3:4:5:6","agent":"Firefox on Linux","target":"portcullis::edge::request_log","span":{"id":"01900000-0000-7000-8000-000000000000","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","parent_id":"00f067aa0ba902b7","user":"01900000-0000-7000-8000-000000000000","session":"01900000-0000-7000-8000-000000000000","name":"request"}}"#;
        let redactor = Redactor::for_json().unwrap();
        assert!(matches!(redactor.redact(line), Cow::Borrowed(_)));
        let begun = Instant::now();
        for _ in 0..1000 {
            assert!(matches!(redactor.redact(line), Cow::Borrowed(_)));
        }
        println!("{:?} a line", begun.elapsed() / 1000);
    }

    /// Twice the text takes twice the time, whatever is in it: four times would be the square.
    #[test]
    fn time_grows_with_the_length_and_not_faster() {
        let redactor = Redactor::for_json().unwrap();
        for piece in
            ["Aa1-".repeat(11) + ".", "Aa1-".repeat(11) + "x://", "a@".to_owned(), "eyJ".to_owned(), "token=\\".to_owned(), "\\u0041".to_owned()]
        {
            let time = |times: usize| {
                let text = piece.repeat(times);
                let best = (0..3).map(|_| {
                    let begun = Instant::now();
                    let _ = redactor.redact(&text);
                    begun.elapsed()
                });
                best.min().unwrap()
            };
            let (short, long) = (time(2_000), time(16_000));
            assert!(long < short * 24, "{piece}: {short:?}, {long:?}");
        }
    }

    #[test]
    fn an_escape_stays_whole() {
        assert_eq!(rest_of_escape(r"x\nada", 3), 0, "a backslash itself is escaped");
        assert_eq!(rest_of_escape(r"x\nada", 2), 1);
        assert_eq!(rest_of_escape(r"x\nada", 4), 0);
        assert_eq!(rest_of_escape(r"\u001bada", 1), 5);
        assert_eq!(rest_of_escape(r"\u001bada", 4), 2);
        assert_eq!(rest_of_escape(r"\u001bada", 6), 0);
    }
}
