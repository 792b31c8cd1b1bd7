//! Settings as they were given. What is secret is kept apart from the first moment on: it does not print, and is wiped when it is dropped.
//! Practice 9.never-hardcode. Tests: `tests/suite/contract/settings.rs`, `tests/suite/attacks/s09_secrets/shown_secrets.rs`.

use crate::settings::list::secret_named;
use secrecy::{ExposeSecret, SecretString};
use std::{collections::HashMap, env};

/// Settings by name.
#[derive(Clone, Default)]
pub struct Values {
    plain: HashMap<String, String>,
    secrets: HashMap<&'static str, Given>,
}

/// A secret setting.
#[derive(Clone)]
pub(super) enum Given {
    /// As it was given: it may say where the secret is.
    Here(SecretString),
    /// From where it is kept.
    Read(SecretString),
    /// Nobody could read it: by which name that is told, and why.
    Unread(String, String),
}

impl Values {
    /// What the environment says.
    pub(super) fn of_process() -> Self {
        // what is no UTF-8 cannot be a setting's value, and its name cannot start like one
        env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
    }

    /// A setting that is no secret, as it was given; of a secret only whether [there is one](Self::is_given) is told.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        debug_assert!(secret_named(name).is_none(), "{name} is a secret");
        self.plain.get(name).map(String::as_str)
    }

    /// Whether somebody set it, or named the file that has it. An empty variable counts as unset, as in Compose files.
    #[must_use]
    pub fn is_given(&self, name: &str) -> bool {
        self.secrets.contains_key(name) || self.plain.get(name).is_some_and(|text| !text.is_empty()) || self.file_of(name).is_some()
    }

    /// Sets it, whatever it was.
    pub fn insert(&mut self, name: String, value: String) {
        match secret_named(&name) {
            None => _ = self.plain.insert(name, value),
            Some(name) if value.is_empty() => _ = self.secrets.remove(name),
            Some(name) => _ = self.secrets.insert(name, Given::Here(value.into())),
        }
    }

    /// Sets it unless the environment names it: there it may be empty.
    pub(super) fn insert_new(&mut self, name: String, value: String) {
        if env::var_os(&name).is_none() {
            self.insert(name, value);
        }
    }

    /// Names of settings that are no secrets, those with the files of secrets among them.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.plain.keys().map(String::as_str)
    }

    /// A secret.
    pub(super) fn secret(&self, name: &str) -> Option<&Given> {
        self.secrets.get(name)
    }

    /// Whether a secret stands in the setting itself, and not where it is kept.
    #[must_use]
    pub fn is_written_out(&self, name: &str) -> bool {
        self.text_here(name).is_some()
    }

    /// The file that has a secret.
    pub(super) fn file_of(&self, name: &str) -> Option<&str> {
        let name = secret_named(name)?;
        self.plain.get(&format!("{name}_FILE")).map(String::as_str).filter(|path| !path.is_empty())
    }

    /// Sets what was read elsewhere, or why it was not.
    pub(super) fn set_secret(&mut self, name: &'static str, given: Given) {
        self.secrets.insert(name, given);
    }

    /// Lets one secret count as another, which is not given.
    pub(super) fn lend(&mut self, from: &str, to: &'static str) {
        if !self.is_given(to) {
            if let Some(given) = self.secrets.get(from).cloned() {
                self.secrets.insert(to, given);
            } else if let Some(path) = self.file_of(from).map(str::to_owned) {
                self.plain.insert(format!("{to}_FILE"), path);
            }
        }
    }

    /// A secret's text as it stands, if it stands in the setting.
    pub(super) fn text_here(&self, name: &str) -> Option<&str> {
        match self.secrets.get(name) {
            Some(Given::Here(text)) => Some(text.expose_secret()),
            _ => None,
        }
    }
}

impl FromIterator<(String, String)> for Values {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(given: I) -> Self {
        let mut values = Self::default();
        given.into_iter().for_each(|(name, value)| values.insert(name, value));
        values
    }
}
