//! What is wrong, by field, each once: serde's and garde's words become ours.

use crate::error::{ApiError, FieldError};
use garde::Report;

#[derive(Default)]
pub(super) struct Faults(Vec<FieldError>);

impl Faults {
    /// Notes a fault, unless the field or what it belongs to has one already.
    pub(super) fn note(&mut self, fault: FieldError) {
        let is_known = |known: &FieldError| {
            fault.field.strip_prefix(known.field.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || rest.starts_with('['))
        };
        if !self.0.iter().any(is_known) {
            self.0.push(fault);
        }
    }

    /// Notes what the fields' own rules say.
    pub(super) fn note_rules(&mut self, report: &Report) {
        for (path, error) in report.iter() {
            self.note(FieldError { field: path.to_string(), reason: error.message().to_owned().into() });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In the order of the fields' names: garde's own is none.
    pub(super) fn refuse(mut self) -> ApiError {
        self.0.sort_by(|one, other| one.field.cmp(&other.field));
        ApiError::invalid(self.0)
    }
}

/// The rest of a message behind `start`, up to the next backtick: the name of a field.
pub(super) fn named<'m>(message: &'m str, start: &str) -> Option<&'m str> {
    message.strip_prefix(start)?.split('`').next()
}

/// The kind of value that serde expected, in its words.
pub(super) fn expected(message: &str) -> Option<&str> {
    message.rsplit_once("expected ").map(|(_, rest)| rest.split(" at line ").next().unwrap_or_default())
}

/// serde's message, reduced to what it says about our types: names of known fields and expected kinds. The rest may be input.
/// `whole` is what the field belongs to when there is no path.
pub(super) fn explain(path: &str, message: &str, whole: &str) -> FieldError {
    let within = |field: &str| if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
    let here = || if path.is_empty() { whole.to_owned() } else { path.to_owned() };
    if let Some(field) = named(message, "missing field `") {
        return FieldError { field: within(field), reason: "is missing".into() };
    }
    if let Some(field) = named(message, "duplicate field `") {
        return FieldError { field: within(field), reason: "occurs twice".into() };
    }
    match expected(message) {
        Some(known) if message.starts_with("unknown field") => FieldError {
            field: here(),
            reason: format!("has an unknown field; known: {}", known.replace('`', "").trim_start_matches("one of ")).into(),
        },
        Some(kind) if message.starts_with("invalid type") => FieldError { field: here(), reason: format!("must be {}", plain_kind(kind)).into() },
        _ => FieldError { field: here(), reason: "is not valid".into() },
    }
}

/// serde's words for kinds, in JSON's.
fn plain_kind(expected: &str) -> &str {
    match expected {
        "a sequence" => "a list",
        "i64" => "a whole number",
        kind if kind.contains("UUID") => "a UUID",
        kind if kind.contains("Rfc3339") => "a time (RFC 3339)",
        kind => kind,
    }
}
