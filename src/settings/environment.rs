//! Development or production: what is made, what is demanded, and what belongs to which.
//! Practice 9.per-environment. Attacks: `tests/suite/attacks/s09_secrets/foreign_environment.rs`.

use crate::credentials::api_key::Realm;

/// What is made and what is demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// Whatever is missing is made under the data folder.
    Development,
    /// Whatever is missing is an error.
    Production,
}

impl Environment {
    /// Its name, as it is set and as databases are marked with it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Production => "production",
        }
    }

    /// Which API keys count.
    #[must_use]
    pub fn realm(self) -> Realm {
        match self {
            Self::Development => Realm::Dev,
            Self::Production => Realm::Live,
        }
    }
}
