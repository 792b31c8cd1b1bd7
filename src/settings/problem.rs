//! What is wrong with settings: all of it in one error, and each problem with the setting that it is about, so that `portcullis check` can
//! put it where it belongs. A secret's value never enters a message (practice 9.never-hardcode).
//! Tests: `tests/suite/contract/settings.rs`, `tests/suite/contract/check.rs`.

use crate::settings::list::secret_named;
use std::fmt::Display;

/// Everything that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
#[error("the settings are wrong:{}", .0.iter().map(|problem| format!("\n  - {}", problem.says)).collect::<String>())]
pub struct SettingsError(pub Vec<Problem>);

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting, by the secret's name also where its file is meant.
    pub setting: String,
    /// In which respect.
    pub kind: Kind,
    /// A sentence that begins with what somebody set.
    pub says: String,
}

/// In which respect a setting is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It cannot be read as what it should be, or does not go with another one.
    Form,
    /// It is a secret that others might know, or that nothing judges.
    Strength,
    /// It leads over a network that others can read.
    Transport,
}

impl Problem {
    /// A problem with a setting or with the file of a secret.
    pub fn new(kind: Kind, name: &str, says: impl Display) -> Self {
        let secret = name.strip_suffix("_FILE").and_then(secret_named);
        Self { setting: secret.unwrap_or(name).to_owned(), kind, says: says.to_string() }
    }
}
