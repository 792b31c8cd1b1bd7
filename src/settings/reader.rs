//! Reads settings by name and remembers everything that is wrong with them, so that one start shows all mistakes.
//! A secret's value never enters a message (practice 9.never-hardcode).

use crate::settings::{
    list::{SETTINGS, Setting, secret_named},
    problem::{Kind, Problem, SettingsError},
    sources::{Reference, file},
    values::{Given, Values},
};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use std::{
    fmt,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Whether this may name an entry of a list, such as a provider or a source of webhooks: names stand in paths.
#[must_use]
pub fn is_entry_name(text: &str) -> bool {
    (1..=30).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

pub(super) struct Reader {
    values: Values,
    problems: Vec<Problem>,
}

impl Reader {
    pub(super) fn new(values: Values) -> Self {
        let is_known = |name: &str| SETTINGS.iter().any(|known| name == known.name) || name.strip_suffix("_FILE").and_then(secret_named).is_some();
        let mut unknown: Vec<&str> = values.names().filter(|name| name.starts_with("PORTCULLIS_") && !is_known(name)).collect();
        unknown.sort_unstable();
        let says = |name| format!("{name} is no setting{}", nearest(name).map(|known| format!(" (did you mean {known}?)")).unwrap_or_default());
        let problems = unknown.into_iter().map(|name| Problem::new(Kind::Form, name, says(name))).collect();
        Self { values, problems }
    }

    pub(super) fn into_error(self) -> SettingsError {
        SettingsError(self.problems)
    }

    /// Refuses names that nobody set.
    pub(super) fn demand<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        for name in names {
            if !self.is_given(name) {
                self.refuse(name, "must be set in production");
            }
        }
    }

    /// Whether somebody set it, or named the file that has it.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.values.is_given(name)
    }

    /// The file that has a secret, if it is in one.
    pub(super) fn file_of(&self, name: &str) -> Option<PathBuf> {
        self.values.file_of(name).map(Into::into)
    }

    /// Notes what is wrong with a setting's form, or with how it goes with others.
    pub(super) fn refuse(&mut self, name: &str, reason: impl fmt::Display) {
        self.refuse_as(Kind::Form, name, reason);
    }

    /// Notes what is wrong with a setting.
    pub(super) fn refuse_as(&mut self, kind: Kind, name: &str, reason: impl fmt::Display) {
        let problem = Problem::new(kind, name, format_args!("{name} {reason}"));
        // one secret may be asked for under two names
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// The text of a setting. An empty variable counts as unset, as in Compose files.
    fn text(&self, name: &'static str) -> Option<String> {
        let setting: Option<&Setting> = SETTINGS.iter().find(|setting| setting.name == name);
        debug_assert!(setting.is_some(), "{name} is missing in SETTINGS");
        let given = self.values.get(name).filter(|text| !text.is_empty()).map(str::to_owned);
        given.or_else(|| setting.and_then(|setting| setting.default).map(str::to_owned))
    }

    /// A setting that may be unset.
    pub(super) fn optional<T, E: fmt::Display>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        match parse(&self.text(name)?) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.refuse(name, reason);
                None
            }
        }
    }

    /// A setting with a default. After a problem the value does not matter: nothing starts.
    pub(super) fn value<T, E: fmt::Display>(&mut self, name: &'static str, fallback: T, parse: impl FnOnce(&str) -> Result<T, E>) -> T {
        self.optional(name, parse).unwrap_or(fallback)
    }

    /// A whole number within a range.
    pub(super) fn number<N: FromStr + PartialOrd + fmt::Display + Copy>(&mut self, name: &'static str, range: RangeInclusive<N>) -> N {
        self.optional_number(name, range.clone()).unwrap_or(*range.start())
    }

    /// A whole number within a range, or unset.
    pub(super) fn optional_number<N: FromStr + PartialOrd + fmt::Display>(&mut self, name: &'static str, range: RangeInclusive<N>) -> Option<N> {
        self.optional(name, |text| {
            let number = text.parse().ok().filter(|number| range.contains(number));
            number.ok_or_else(|| format!("must be a whole number from {} to {}", range.start(), range.end()))
        })
    }

    /// Comma-separated values.
    pub(super) fn list<T, E: fmt::Display>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T, E>) -> Vec<T> {
        let text = self.text(name).unwrap_or_default();
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items
            .filter_map(|item| match parse(item) {
                Ok(value) => Some(value),
                Err(reason) => {
                    // an address with a login in it is as good as a secret
                    let shown = if item.contains('@') { "an item with a login" } else { item };
                    self.problems.push(Problem::new(Kind::Form, name, format_args!("{name}: {shown} {reason}")));
                    None
                }
            })
            .collect()
    }

    /// An array in JSON. The library's own message is not told: it may quote a value.
    pub(super) fn array<T: DeserializeOwned>(&mut self, name: &'static str, text: &str) -> Option<Vec<T>> {
        let parsed = serde_json::from_str(text).map_err(|error| (error.line(), error.column()));
        parsed
            .map_err(|(line, column)| self.refuse(name, format_args!("is not the JSON array that it must be, at line {line}, column {column}")))
            .ok()
    }

    /// A secret: its value, what was read where it is kept, or the contents of the file that `<name>_FILE` names (without the last line
    /// end).
    pub(super) fn secret(&mut self, name: &'static str) -> Option<SecretString> {
        match (self.values.secret(name).cloned(), self.file_of(name)) {
            (Some(Given::Here(_)), Some(_)) => self.refuse(name, format_args!("and {name}_FILE are both set")),
            (Some(Given::Here(text)), None) => match Reference::parse(text.expose_secret()) {
                None => return Some(text),
                Some(Err(reason)) => self.refuse(name, reason),
                // what opens a manager, or settings that were given to a test as they are
                Some(Ok(_)) => self.refuse(name, "is kept in a manager, which is not asked for it"),
            },
            (Some(Given::Read(text)), _) => return Some(text),
            (Some(Given::Unread(named, reason)), _) => self.refuse(&named, reason),
            (None, Some(path)) => return self.in_file(name, &path),
            (None, None) => {}
        }
        None
    }

    fn in_file(&mut self, name: &str, path: &Path) -> Option<SecretString> {
        file::read(path).inspect_err(|reason| self.refuse(&format!("{name}_FILE"), reason)).ok()
    }
}

/// A known name that starts or ends alike, for a mistyped one.
fn nearest(name: &str) -> Option<&'static str> {
    let likeness = |known: &str| {
        let same_start = known.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        let same_end = known.bytes().rev().zip(name.bytes().rev()).take_while(|(a, b)| a == b).count();
        (same_start + same_end).min(known.len())
    };
    let best = SETTINGS.iter().max_by_key(|setting| likeness(setting.name))?;
    (likeness(best.name) + 3 >= best.name.len().max(name.len())).then_some(best.name)
}
