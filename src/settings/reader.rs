//! Reads settings by name and remembers everything that is wrong with them, so that one start shows all mistakes.
//! A secret's value never enters a message (practice 9.never-hardcode).

use crate::settings::list::{SETTINGS, Setting};
use secrecy::SecretString;
use std::{collections::HashMap, fmt, ops::RangeInclusive, str::FromStr};

/// Everything that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub struct SettingsError(pub Vec<String>);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings are wrong:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

pub(super) struct Reader {
    values: HashMap<String, String>,
    problems: Vec<String>,
}

impl Reader {
    pub(super) fn new(values: HashMap<String, String>) -> Self {
        let is_known = |name: &str| SETTINGS.iter().any(|known| name == known.name || known.secret && name.strip_suffix("_FILE") == Some(known.name));
        let mut problems: Vec<String> = values
            .keys()
            .filter(|name| name.starts_with("PORTCULLIS_") && !is_known(name))
            .map(|name| format!("{name} is no setting{}", nearest(name).map(|known| format!(" (did you mean {known}?)")).unwrap_or_default()))
            .collect();
        problems.sort();
        Self { values, problems }
    }

    pub(super) fn into_error(self) -> SettingsError {
        SettingsError(self.problems)
    }

    /// Refuses names that nobody set, be it by value or by file.
    pub(super) fn demand<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        for name in names {
            if !self.is_given(name) && !self.is_given(&format!("{name}_FILE")) {
                self.refuse(name, "must be set in production");
            }
        }
    }

    /// Whether somebody set it.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|text| !text.is_empty())
    }

    /// Notes a problem that is about more than one setting's form.
    pub(super) fn refuse(&mut self, name: &str, reason: impl fmt::Display) {
        self.problems.push(format!("{name} {reason}"));
    }

    /// The text of a setting. An empty variable counts as unset, as in Compose files.
    fn text(&self, name: &'static str) -> Option<String> {
        let setting: Option<&Setting> = SETTINGS.iter().find(|setting| setting.name == name);
        debug_assert!(setting.is_some(), "{name} is missing in SETTINGS");
        let given = self.values.get(name).filter(|text| !text.is_empty()).cloned();
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
                    self.problems.push(format!("{name}: {item} {reason}"));
                    None
                }
            })
            .collect()
    }

    /// A secret: its value, or the contents of the file that `<name>_FILE` names (without the last line end).
    pub(super) fn secret(&mut self, name: &'static str) -> Option<SecretString> {
        let file_setting = format!("{name}_FILE");
        let file = self.values.get(&file_setting).filter(|text| !text.is_empty()).cloned();
        match (self.text(name), file) {
            (Some(_), Some(_)) => {
                self.refuse(name, format_args!("and {file_setting} are both set"));
                None
            }
            (Some(value), None) => Some(value.into()),
            (None, Some(path)) => match std::fs::read_to_string(&path) {
                Ok(text) if !text.trim().is_empty() => Some(text.trim_end_matches(['\r', '\n']).into()),
                Ok(_) => {
                    self.refuse(&file_setting, format_args!("names an empty file: {path}"));
                    None
                }
                Err(error) => {
                    self.refuse(&file_setting, format_args!("cannot be read: {path}: {error}"));
                    None
                }
            },
            (None, None) => None,
        }
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
