//! Which checks of `portcullis check` an operator has decided to do without. What they are called is known there.
//! Practice 16.checklist. Tests: `tests/suite/contract/check.rs`.

use crate::settings::{Settings, Values, reader::Reader};

impl Settings {
    /// The names, as they are set, whatever else is wrong with the settings.
    #[must_use]
    pub fn waived_in(values: &Values) -> Vec<String> {
        Reader::new(values.clone()).list("PORTCULLIS_WAIVED", |name| Ok::<_, &str>(name.to_owned()))
    }
}
