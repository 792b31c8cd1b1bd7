//! `portcullis check`: the guide's summary table, filled in for a configuration and, where the database can be reached, for the deployment.
//! A start in production asks the same questions and refuses what is unsafe, all of it at once. The list: [`rows`]; what it looks at:
//! [`facts`]. How to read it: `docs/check.md`.
//! Practices 9.least-privilege, 9.per-environment, 16.checklist.
//! Tests: `tests/suite/contract/check.rs`, `tests/suite/contract/production.rs`.

mod deployment;
pub mod facts;
pub mod report;
pub mod rows;
mod show;

use crate::{
    platform::clock::Clock,
    settings::{Environment, Settings, SettingsError, Sources, sources},
};
use facts::Facts;
use report::{Report, unknown_waivers};
use rows::Verdict;
use std::{
    io::{self, Write},
    process::ExitCode,
};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Print JSON for programs (`docs/check.md`).
    #[arg(long)]
    json: bool,
    /// Fail also where nobody can tell.
    #[arg(long)]
    strict: bool,
}

/// Nothing was judged.
const CANNOT_RUN: u8 = 2;

/// Settings that nothing speaks against, and in production what was found. Development is asked less: what it lacks is made.
pub(super) async fn settings() -> anyhow::Result<(Settings, Sources, Option<Report>)> {
    let (values, sources) = sources::resolve(Settings::process_values()?).await;
    let settings = Settings::from_values(values.clone());
    if settings.as_ref().is_ok_and(|settings| settings.environment == Environment::Development) {
        let unknown = unknown_waivers(&values);
        return if unknown.is_empty() { Ok((settings?, sources, None)) } else { Err(SettingsError(unknown).into()) };
    }
    let facts = Facts::of(values, settings, &Clock::system(), false).await;
    let report = Report::of(&facts);
    let refusals = report.refusals();
    if refusals.is_empty() { Ok((facts.settings?, sources, Some(report))) } else { Err(Refused(refusals).into()) }
}

/// What keeps a start in production, each with the name of its check.
#[derive(Debug, thiserror::Error)]
#[error("the settings are wrong:\n  - {}", .0.join("\n  - "))]
struct Refused(Vec<String>);

/// Judges the environment as production would, and prints what it finds. Exit code 0: all holds or is waived; 1: something falls short; 2:
/// nothing could be judged.
pub(super) async fn run(args: &Args) -> ExitCode {
    match judge(args).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("portcullis: {error:#}");
            ExitCode::from(CANNOT_RUN)
        }
    }
}

async fn judge(args: &Args) -> anyhow::Result<ExitCode> {
    let mut values = Settings::process_values()?;
    // a word that is neither is told, as a start would
    let is_development = values.get("PORTCULLIS_ENV").is_none_or(|word| ["", "development"].contains(&word));
    if is_development {
        values.insert("PORTCULLIS_ENV".into(), "production".into());
    }
    let (values, sources) = sources::resolve(values).await;
    sources.close().await;
    let mut report = Report::of(&Facts::gather(values, &Clock::system(), true).await);
    if is_development {
        report.environment = Environment::Development;
    }
    let text = if args.json { format!("{:#}\n", report.to_json()) } else { report.to_text() };
    match io::stdout().write_all(text.as_bytes()) {
        // a reader that has seen enough (`| head`) is no fault of ours
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    Ok(match report.verdict() {
        Verdict::Holds => ExitCode::SUCCESS,
        Verdict::CannotTell if !args.strict => ExitCode::SUCCESS,
        Verdict::CannotTell => {
            eprintln!("portcullis: nobody can tell of {}, which --strict does not let pass", report.unknown().join(", "));
            ExitCode::FAILURE
        }
        Verdict::FallsShort => ExitCode::FAILURE,
    })
}
