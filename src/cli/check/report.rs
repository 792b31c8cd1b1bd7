//! Facts → findings, row by row: what is wrong with a setting goes to the check that it decides, and what is waived is marked and keeps
//! nothing from starting. Practice 16.checklist. Tests: `tests/suite/contract/check.rs`.

use super::{
    facts::{Facts, list},
    rows::{Check, Finding, ROWS, Row, Verdict, Weight, named, secrets::STRENGTH},
};
use crate::settings::{Values, list::SETTINGS};
use url::Url;

/// Where problems go that no check names.
const EVERYTHING_ELSE: &str = "input.settings";

/// The table, filled in.
pub struct Report {
    /// In the guide's order.
    pub rows: Vec<Judged>,
    /// Whether the database was looked at; `None`: none is named.
    pub reached_database: Option<bool>,
}

/// A row, filled in.
pub struct Judged {
    /// Which one.
    pub row: &'static Row,
    /// What was found.
    pub outcomes: Vec<Outcome>,
}

/// What came of a check.
pub struct Outcome {
    /// Which one.
    pub check: &'static Check,
    /// What it found.
    pub finding: Finding,
    /// An operator does without it.
    pub is_waived: bool,
    /// It is about a setting that cannot be read: there is nothing to start with.
    pub is_fatal: bool,
    /// What decided.
    pub settings: Vec<Shown>,
}

/// A setting, as it may be shown.
pub struct Shown {
    /// The environment variable.
    pub name: String,
    /// What it is; `None`: a secret, or nothing, or what might be a secret in the wrong place.
    pub value: Option<String>,
    /// Whether it is a secret.
    pub is_secret: bool,
    /// Whether somebody set it.
    pub is_given: bool,
}

impl Outcome {
    /// Whether a start in production refuses it.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.finding.verdict == Verdict::FallsShort && !self.is_waived && (self.is_fatal || self.check.weight == Weight::Refuse)
    }
}

impl Judged {
    /// What is worst of what is not waived; `None`: all is waived.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.outcomes.iter().filter(|outcome| !outcome.is_waived).map(|outcome| outcome.finding.verdict).max()
    }
}

impl Report {
    /// What comes of these facts.
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        let mut problems: Vec<(&str, String)> =
            facts.settings.as_ref().err().into_iter().flat_map(|error| &error.0).map(|problem| attributed(problem)).collect();
        problems.extend(unknown_waivers(&facts.values).into_iter().map(|problem| (EVERYTHING_ELSE, problem)));
        let waived = facts.list("PORTCULLIS_WAIVED");
        let judge = |row: &'static Row, check: &'static Check| {
            let own: Vec<String> = problems.iter().filter(|(name, _)| *name == check.name).map(|(_, problem)| problem.clone()).collect();
            let is_fatal = !own.is_empty();
            let mut finding = (check.judge)(facts);
            // a text that was refused is no value to judge; a secret is judged by what it leads to
            let broken = check.settings.iter().find(|name| !is_secret(name) && problems.iter().any(|(_, problem)| subject_of(problem) == **name));
            if let Some(name) = broken.filter(|_| !is_fatal) {
                finding = Finding::cannot_tell(format!("{name} cannot be read"));
            }
            if is_fatal {
                let more = if finding.verdict == Verdict::FallsShort { finding.says } else { Vec::new() };
                finding = Finding { verdict: Verdict::FallsShort, says: own };
                if broken.is_none() {
                    finding.says.extend(more);
                }
            }
            let is_waived = check.is_waivable && !is_fatal && waived.iter().any(|name| *name == check.name || *name == row.name);
            let settings = check.settings.iter().map(|name| shown(facts, &problems, name)).collect();
            Outcome { check, finding, is_waived, is_fatal, settings }
        };
        let rows = ROWS.iter().map(|row| Judged { row, outcomes: row.checks.iter().map(|check| judge(row, check)).collect() });
        Self { rows: rows.collect(), reached_database: facts.database.as_ref().map(Result::is_ok) }
    }

    /// All outcomes.
    pub fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.rows.iter().flat_map(|row| &row.outcomes)
    }

    /// What a start in production refuses, each with the name of its check.
    #[must_use]
    pub fn refusals(&self) -> Vec<String> {
        let refused = self.outcomes().filter(|outcome| outcome.is_refused());
        refused.flat_map(|outcome| outcome.finding.says.iter().map(|says| format!("{says} ({})", outcome.check.name))).collect()
    }

    /// The worst verdict of all rows.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.rows.iter().filter_map(Judged::verdict).max().unwrap_or(Verdict::Holds)
    }

    /// Tells the log what a start lets pass.
    pub fn log(&self) {
        for Outcome { check, finding, is_waived, .. } in self.outcomes() {
            let finding_says = finding.says.join("; ");
            match finding.verdict {
                _ if *is_waived => tracing::warn!(check = check.name, verdict = finding.verdict.name(), finding = finding_says, "a check is waived"),
                Verdict::FallsShort => tracing::warn!(check = check.name, finding = finding_says, "a check falls short"),
                Verdict::Holds | Verdict::CannotTell => {}
            }
        }
    }
}

/// Names in `PORTCULLIS_WAIVED` that are none, or stand for what nobody can do without.
pub(super) fn unknown_waivers(values: &Values) -> Vec<String> {
    let wrong = |name: &str| match named(name) {
        Some(check) if check.is_waivable => None,
        Some(_) => Some(format!("PORTCULLIS_WAIVED: {name} cannot be waived")),
        None if ROWS.iter().any(|row| row.name == name && row.checks.iter().any(|check| check.is_waivable)) => None,
        None if ROWS.iter().any(|row| row.name == name) => Some(format!("PORTCULLIS_WAIVED: nothing of {name} can be waived")),
        None => Some(format!("PORTCULLIS_WAIVED: {name} is no check and no row of `portcullis check`")),
    };
    list(values, "PORTCULLIS_WAIVED").into_iter().filter_map(wrong).collect()
}

/// The setting that a problem is about: problems begin with its name.
fn subject_of(problem: &str) -> &str {
    let name = problem.split([' ', ':']).next().unwrap_or_default();
    let base = name.strip_suffix("_FILE").filter(|base| SETTINGS.iter().any(|setting| setting.secret && setting.name == *base));
    base.unwrap_or(name)
}

/// The check that a problem with the settings belongs to.
fn attributed(problem: &str) -> (&'static str, String) {
    let subject = subject_of(problem);
    let is_about_the_secret = [
        "looks like a placeholder",
        "has a secret of",
        "has the same secret",
        "is not random",
        "is the key that development made",
        "stands in .env.example",
    ];
    let is_about_the_way = problem.contains("without TLS");
    let named_by = || ROWS.iter().flat_map(|row| row.checks).find(|check| check.settings.contains(&subject));
    let name = match subject {
        _ if is_about_the_secret.iter().any(|words| problem.contains(words)) => STRENGTH,
        "DATABASE_URL" if is_about_the_way => "https.database",
        "REDIS_URL" if is_about_the_way => "https.redis",
        _ => named_by().map_or(EVERYTHING_ELSE, |check| check.name),
    };
    (name, problem.to_owned())
}

fn is_secret(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.name == name && setting.secret)
}

/// Whether it is an address with a name or a password in it.
fn has_login(value: &str) -> bool {
    Url::parse(value).is_ok_and(|url| !url.username().is_empty() || url.password().is_some())
}

fn shown(facts: &Facts, problems: &[(&str, String)], name: &str) -> Shown {
    let file = format!("{name}_FILE");
    let is_secret = is_secret(name);
    let is_wrong = problems.iter().any(|(_, problem)| subject_of(problem) == name);
    let by_file = is_secret && facts.is_given(&file);
    let value = Some(name).filter(|_| !is_secret).map(|name| facts.text(name).to_owned());
    Shown {
        name: if by_file { file } else { name.to_owned() },
        value: value.filter(|value| !value.is_empty() && !is_wrong && !has_login(value)),
        is_secret,
        is_given: by_file || facts.is_given(name),
    }
}
