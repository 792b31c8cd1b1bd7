//! Facts → findings, row by row: what is wrong with a setting goes to the check that it decides, and what is waived is marked and keeps
//! nothing from starting. Practice 16.checklist. Tests: `tests/suite/contract/check.rs`.

use super::{
    facts::{Facts, list},
    rows::{Check, Finding, ROWS, Row, Verdict, Weight, named, secrets::STRENGTH},
};
use crate::settings::{Environment, Problem, Values, list::secret_named, problem::Kind};
use url::Url;

/// Where problems go that no check names.
const EVERYTHING_ELSE: &str = "input.settings";

/// The table, filled in.
pub struct Report {
    /// In the guide's order.
    pub rows: Vec<Judged>,
    /// Whether the database was looked at; `None`: none is named.
    pub reached_database: Option<bool>,
    /// What a start with these settings is. They are judged as production's all the same.
    pub environment: Environment,
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
        let problems = facts.settings.as_ref().err().map(|error| error.0.clone()).unwrap_or_default();
        let problems: Vec<Problem> = problems.into_iter().chain(unknown_waivers(&facts.values)).collect();
        let waived = facts.list("PORTCULLIS_WAIVED");
        let judge = |row: &'static Row, check: &'static Check| {
            let own: Vec<String> = problems.iter().filter(|problem| decided_by(problem) == check.name).map(|problem| problem.says.clone()).collect();
            let is_fatal = !own.is_empty();
            let mut finding = (check.judge)(facts);
            // a text that was refused is no value to judge; a secret is judged by what it leads to
            let broken = check.settings.iter().find(|name| secret_named(name).is_none() && problems.iter().any(|problem| problem.setting == **name));
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
        Self { rows: rows.collect(), reached_database: facts.database.as_ref().map(Result::is_ok), environment: Environment::Production }
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

    /// Names of the checks of which nobody can tell.
    #[must_use]
    pub fn unknown(&self) -> Vec<&'static str> {
        let unknown = self.outcomes().filter(|outcome| !outcome.is_waived && outcome.finding.verdict == Verdict::CannotTell);
        unknown.map(|outcome| outcome.check.name).collect()
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
pub(super) fn unknown_waivers(values: &Values) -> Vec<Problem> {
    const WAIVED: &str = "PORTCULLIS_WAIVED";
    let wrong = |name: &str| match named(name) {
        Some(check) if check.is_waivable => None,
        Some(_) => Some(format!("{WAIVED}: {name} cannot be waived")),
        None if ROWS.iter().any(|row| row.name == name && row.checks.iter().any(|check| check.is_waivable)) => None,
        None if ROWS.iter().any(|row| row.name == name) => Some(format!("{WAIVED}: nothing of {name} can be waived")),
        None => Some(format!("{WAIVED}: {name} is no check and no row of `portcullis check`")),
    };
    list(values, WAIVED).into_iter().filter_map(wrong).map(|says| Problem::new(Kind::Form, WAIVED, says)).collect()
}

/// The name of the check that a problem with the settings belongs to.
fn decided_by(problem: &Problem) -> &'static str {
    match (problem.kind, problem.setting.as_str()) {
        (Kind::Strength, _) => STRENGTH,
        (Kind::Transport, "DATABASE_URL") => "https.database",
        (Kind::Transport, "REDIS_URL") => "https.redis",
        (_, setting) => {
            let mut checks = ROWS.iter().flat_map(|row| row.checks);
            checks.find(|check| check.settings.contains(&setting)).map_or(EVERYTHING_ELSE, |check| check.name)
        }
    }
}

/// Whether it is an address with a name or a password in it.
fn has_login(value: &str) -> bool {
    Url::parse(value).is_ok_and(|url| !url.username().is_empty() || url.password().is_some())
}

fn shown(facts: &Facts, problems: &[Problem], name: &str) -> Shown {
    let file = format!("{name}_FILE");
    let is_secret = secret_named(name).is_some();
    let is_wrong = problems.iter().any(|problem| problem.setting == name);
    let by_file = is_secret && facts.is_given(&file);
    let value = Some(name).filter(|_| !is_secret).map(|name| facts.text(name).to_owned());
    Shown {
        name: if by_file { file } else { name.to_owned() },
        value: value.filter(|value| !value.is_empty() && !is_wrong && !has_login(value)),
        is_secret,
        is_given: facts.is_given(name),
    }
}
