//! The closed list: the rows of the guide's summary table (section 16), each with the checks that decide it. A check is a pure function
//! of the facts. Practice 16.checklist. Tests: `tests/suite/contract/check.rs`.

mod authentication;
mod authorization;
mod cors;
mod https;
mod input;
mod limits;
mod logging;
mod made;
pub(super) mod secrets;
mod sessions;

use super::facts::Facts;

/// A row of the table.
pub struct Row {
    /// The guide's word for it.
    pub aspect: &'static str,
    /// The beginning of its checks' names, and the name by which all of them are waived.
    pub name: &'static str,
    /// What holds here when it holds.
    pub about: &'static str,
    /// What decides it.
    pub checks: &'static [Check],
}

/// One question to a configuration or a deployment.
pub struct Check {
    /// `row.check`, unique and stable.
    pub name: &'static str,
    /// What it means for a start that it falls short.
    pub weight: Weight,
    /// Whether an operator may decide to do without.
    pub is_waivable: bool,
    /// The settings that decide it. What is wrong with reading one of them is this check's finding, unless an earlier one names it.
    pub settings: &'static [&'static str],
    /// The answer.
    pub judge: fn(&Facts) -> Finding,
    /// Where no setting can change the answer: the tests that show it. A file or folder of the repository.
    pub shown_by: Option<&'static str>,
}

/// What a finding that falls short means for a start in production.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The service does not start.
    Refuse,
    /// It starts and says so in its log.
    Advise,
}

/// Whether a row or a check holds. In this order: what is worse decides a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Holds,
    /// Not to be known from here.
    CannotTell,
    /// Not as it should be.
    FallsShort,
}

impl Verdict {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::CannotTell => "cannot tell",
            Self::FallsShort => "falls short",
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, a sentence each; those that fall short begin with the setting that decides, where there is one. Never a secret.
    pub says: Vec<String>,
}

impl Finding {
    fn holds(says: impl Into<String>) -> Self {
        Self { verdict: Verdict::Holds, says: vec![says.into()] }
    }

    pub(super) fn cannot_tell(says: impl Into<String>) -> Self {
        Self { verdict: Verdict::CannotTell, says: vec![says.into()] }
    }

    pub(super) fn falls_short(says: impl Into<String>) -> Self {
        Self { verdict: Verdict::FallsShort, says: vec![says.into()] }
    }

    /// Falls short by all of these; holds where there is none.
    fn unless(short: Vec<String>, otherwise: impl Into<String>) -> Self {
        if short.is_empty() { Self::holds(otherwise) } else { Self { verdict: Verdict::FallsShort, says: short } }
    }
}

const fn check(name: &'static str, weight: Weight, settings: &'static [&'static str], judge: fn(&Facts) -> Finding) -> Check {
    Check { name, weight, is_waivable: true, settings, judge, shown_by: None }
}

/// What a start refuses unless it is waived.
const fn refuse(name: &'static str, settings: &'static [&'static str], judge: fn(&Facts) -> Finding) -> Check {
    check(name, Weight::Refuse, settings, judge)
}

/// What a start refuses, whoever wants it otherwise.
const fn insist(name: &'static str, settings: &'static [&'static str], judge: fn(&Facts) -> Finding) -> Check {
    Check { is_waivable: false, ..check(name, Weight::Refuse, settings, judge) }
}

/// What a start says in its log.
const fn advise(name: &'static str, settings: &'static [&'static str], judge: fn(&Facts) -> Finding) -> Check {
    check(name, Weight::Advise, settings, judge)
}

/// What is so in every build.
const fn built_in(name: &'static str, shown_by: &'static str, judge: fn(&Facts) -> Finding) -> Check {
    Check { is_waivable: false, shown_by: Some(shown_by), ..check(name, Weight::Advise, &[], judge) }
}

/// Settings that are numbers, and the most that each should be.
fn at_most(facts: &Facts, bounds: &[(&str, u64)], why: &str, otherwise: &str) -> Finding {
    let above = bounds.iter().filter_map(|(name, most)| {
        let number = facts.number(name).filter(|number| number > most)?;
        Some(format!("{name} is {number}, more than {most}: {why}"))
    });
    Finding::unless(above.collect(), otherwise)
}

/// Numbers that may be ten times what they are by default: by then somebody meant something else.
fn near_default(facts: &Facts, names: &[&str], otherwise: &str) -> Finding {
    let default = |name: &str| super::facts::default_of(name)?.parse::<u64>().ok();
    let bounds: Vec<(&str, u64)> = names.iter().filter_map(|name| Some((*name, default(name)?.saturating_mul(10)))).collect();
    at_most(facts, &bounds, "ten times the default and more guards nothing", otherwise)
}

/// All rows, in the guide's order.
pub const ROWS: &[Row] = &[
    Row {
        aspect: "Authentication",
        name: "authentication",
        about: "who calls is proven by what cannot be guessed and does not last",
        checks: authentication::CHECKS,
    },
    Row {
        aspect: "Authorization",
        name: "authorization",
        about: "nobody may do more than they should, the service included",
        checks: authorization::CHECKS,
    },
    Row { aspect: "Input Validation", name: "input", about: "what comes in has one form and a size", checks: input::CHECKS },
    Row { aspect: "Secrets Management", name: "secrets", about: "secrets are random, kept apart and replaced in time", checks: secrets::CHECKS },
    Row { aspect: "Rate Limiting", name: "limits", about: "nobody can ask too often or keep others out", checks: limits::CHECKS },
    Row { aspect: "HTTPS", name: "https", about: "nothing crosses a network that others can read", checks: https::CHECKS },
    Row { aspect: "Secure Headers", name: "headers", about: "browsers are told what not to do", checks: made::HEADERS },
    Row { aspect: "CORS", name: "cors", about: "only pages on a list may call with cookies", checks: cors::CHECKS },
    Row { aspect: "Error Handling", name: "errors", about: "refusals tell nothing of the inside", checks: made::ERRORS },
    Row { aspect: "Logging", name: "logging", about: "what happened is written down, for machines, and cannot be changed", checks: logging::CHECKS },
    Row { aspect: "CSRF", name: "csrf", about: "no other site makes calls with a person's cookies", checks: made::CSRF },
    Row {
        aspect: "Dependency Security",
        name: "dependencies",
        about: "what this is built from and stands on is looked after",
        checks: made::DEPENDENCIES,
    },
    Row {
        aspect: "Session Management",
        name: "sessions",
        about: "sessions end, change their keys and stay out of scripts' reach",
        checks: sessions::CHECKS,
    },
];

/// The check of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Check> {
    ROWS.iter().flat_map(|row| row.checks).find(|check| check.name == name)
}
