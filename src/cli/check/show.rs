//! The report for people, within 100 columns and without colours, and for programs. `docs/check.md` says what is in them.
//! Practice 16.checklist. Tests: `tests/suite/contract/check.rs`.

use super::{
    report::{Outcome, Report, Shown},
    rows::{Verdict, Weight},
};
use crate::settings::Environment;
use serde_json::{Value, json};
use std::fmt::Write;

/// Columns of a line.
const WIDTH: usize = 100;
/// Columns before what a check found.
const MARGIN: usize = 15;
/// Settings of a check that holds, at most.
const SETTINGS: usize = 3;
/// Characters of a value.
const VALUE: usize = 60;

/// A space at which no line ends.
const TOGETHER: &str = "\u{a0}";

/// The version of the JSON form: what is there keeps its meaning, more may come.
const VERSION: u32 = 1;

impl Report {
    /// For people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let database = match self.reached_database {
            Some(true) => "and of what the database holds",
            Some(false) => "the database cannot be looked at",
            None => "without a database",
        };
        _ = writeln!(text, "As production would judge it, by the settings, {database}.");
        if self.environment == Environment::Development {
            _ = writeln!(text, "PORTCULLIS_ENV is not `production` here: a start refuses only what cannot be read.");
        }
        text.push('\n');
        for judged in &self.rows {
            let verdict = judged.verdict().map_or("waived", Verdict::name);
            let line = format!("{:<21}{verdict:<13}{}", judged.row.aspect, judged.row.about);
            _ = writeln!(text, "{}", line.trim_end());
        }
        for judged in &self.rows {
            _ = writeln!(text, "\n{} ({})", judged.row.aspect, judged.row.name);
            for outcome in &judged.outcomes {
                text.push_str(&in_words(outcome));
            }
        }
        _ = write!(text, "\n{}", self.summary());
        text
    }

    fn summary(&self) -> String {
        let count = |verdict| self.rows.iter().filter(|row| row.verdict() == Some(verdict)).count();
        let (holds, short, unknown) = (count(Verdict::Holds), count(Verdict::FallsShort), count(Verdict::CannotTell));
        let waived: Vec<&str> = self.outcomes().filter(|outcome| outcome.is_waived).map(|outcome| outcome.check.name).collect();
        let mut text = format!("Of {} rows {holds} hold, {short} fall short, of {unknown} nobody can tell from here.\n", self.rows.len());
        if !waived.is_empty() {
            wrap(&mut text, 0, &format!("Waived by PORTCULLIS_WAIVED: {}.", waived.join(", ")));
        }
        let refused: Vec<&str> = self.outcomes().filter(|outcome| outcome.is_refused()).map(|outcome| outcome.check.name).collect();
        match (&refused[..], short) {
            ([], 0) => text.push_str("Nothing speaks against production with these settings.\n"),
            ([], _) => text.push_str("A start in production goes on and says in its log what falls short.\n"),
            (names, _) => wrap(&mut text, 0, &format!("A start in production refuses: {}.", names.join(", "))),
        }
        text
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let database = match self.reached_database {
            Some(true) => "reached",
            Some(false) => "away",
            None => "none",
        };
        let rows = self.rows.iter().map(|judged| {
            json!({
                "name": judged.row.name,
                "aspect": judged.row.aspect,
                "about": judged.row.about,
                "verdict": judged.verdict().map_or("waived", Verdict::name),
                "checks": judged.outcomes.iter().map(as_json).collect::<Vec<_>>(),
            })
        });
        json!({
            "version": VERSION,
            "portcullis": env!("CARGO_PKG_VERSION"),
            "verdict": self.verdict().name(),
            "environment": self.environment.name(),
            "start": if self.refusals().is_empty() { "goes on" } else { "refuses" },
            "database": database,
            "rows": rows.collect::<Vec<_>>(),
        })
    }
}

fn as_json(outcome: &Outcome) -> Value {
    let settings = outcome
        .settings
        .iter()
        .map(|Shown { name, value, is_secret, is_given }| json!({ "name": name, "value": value, "secret": is_secret, "set": is_given }));
    json!({
        "name": outcome.check.name,
        "verdict": outcome.finding.verdict.name(),
        "weight": if outcome.is_fatal || outcome.check.weight == Weight::Refuse { "refuse" } else { "advise" },
        "waivable": outcome.check.is_waivable && !outcome.is_fatal,
        "waived": outcome.is_waived,
        "findings": outcome.finding.says,
        "settings": settings.collect::<Vec<_>>(),
        "shown_by": outcome.check.shown_by,
    })
}

fn in_words(outcome: &Outcome) -> String {
    let Outcome { check, finding, is_waived, .. } = outcome;
    let verdict = if *is_waived { "waived" } else { finding.verdict.name() };
    let kind = match finding.verdict {
        _ if *is_waived => format!(", which {}", finding.verdict.name()),
        Verdict::FallsShort if outcome.is_refused() => ", and keeps a start".to_owned(),
        Verdict::FallsShort | Verdict::CannotTell | Verdict::Holds => String::new(),
    };
    let mut text = format!("  {verdict:<13}{}{kind}\n", check.name);
    for says in &finding.says {
        wrap(&mut text, MARGIN, says);
    }
    if !outcome.settings.is_empty() {
        wrap(&mut text, MARGIN + 2, &deciding(outcome));
    }
    if let Some(tests) = check.shown_by {
        wrap(&mut text, MARGIN + 2, &format!("so in every build: {tests}"));
    }
    text
}

/// The settings that a finding names; otherwise the first ones of its check.
fn deciding(outcome: &Outcome) -> String {
    let names = |shown: &&Shown| outcome.finding.says.iter().any(|says| says.contains(&shown.name));
    let mut chosen: Vec<&Shown> = outcome.settings.iter().filter(names).collect();
    let mut rest = 0;
    if chosen.is_empty() {
        chosen = outcome.settings.iter().take(SETTINGS).collect();
        rest = outcome.settings.len() - chosen.len();
    }
    let mut lines: Vec<String> = chosen.into_iter().map(|shown| with_value(shown).replace(' ', TOGETHER)).collect();
    if rest > 0 {
        lines.push(format!("and {rest} more settings"));
    }
    lines.join(", ")
}

fn with_value(Shown { name, value, is_given, .. }: &Shown) -> String {
    let clean = |value: &String| -> String {
        let text: String = value.chars().take(VALUE).map(|c| if c.is_control() { '?' } else { c }).collect();
        if text.len() < value.len() { format!("{text}…") } else { text }
    };
    match (value.as_ref().map(clean), is_given) {
        (Some(value), true) => format!("{name}={value}"),
        (Some(value), false) => format!("{name}={value} (default)"),
        // a secret, or what could not be read
        (None, true) => format!("{name} (not shown)"),
        (None, false) => format!("{name} (not set)"),
    }
}

/// Words on lines that fit; a word that does not is cut.
fn wrap(text: &mut String, margin: usize, says: &str) {
    let mut line = " ".repeat(margin);
    let mut length = 0;
    for word in says.split([' ', '\n']).filter(|word| !word.is_empty()) {
        for part in pieces(word, WIDTH - margin) {
            let width = part.chars().count();
            if length > 0 && margin + length + 1 + width > WIDTH {
                _ = writeln!(text, "{}", line.trim_end());
                line = " ".repeat(margin);
                length = 0;
            }
            if length > 0 {
                line.push(' ');
                length += 1;
            }
            line.push_str(&part);
            length += width;
        }
    }
    _ = writeln!(text, "{}", line.trim_end());
}

fn pieces(word: &str, width: usize) -> Vec<String> {
    let letters: Vec<char> = word.replace(TOGETHER, " ").chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    letters.chunks(width).map(|chunk| chunk.iter().collect()).collect()
}
