//! What keeps a configuration from production: all of it at once, from the settings and, where the database can be reached, from
//! there. `check` prints it; a start in production refuses with the same list.
//! Practices 9.least-privilege, 9.per-environment. Tests: `tests/suite/contract/production.rs`.

use crate::{
    access::policy::cases,
    platform::{
        db,
        keyring::{KeyEncryption, Keyring, KeyringError},
    },
    server::tls::Identity,
    settings::{Environment, Settings, SettingsError, Sources, Tls, Values, sources},
    state::policies,
};
use anyhow::Context;
use std::{fs, io::Write, path::Path};

/// Settings that nothing speaks against. Development is asked less: what it lacks is made.
pub(super) async fn settings() -> anyhow::Result<(Settings, Sources)> {
    let (values, sources) = sources::resolve(Settings::process_values()?).await;
    let settings = Settings::from_values(values.clone());
    if settings.as_ref().is_ok_and(|settings| settings.environment == Environment::Development) {
        return Ok((settings?, sources));
    }
    let problems = problems(&settings, &values).await;
    if problems.is_empty() { Ok((settings?, sources)) } else { Err(SettingsError(problems).into()) }
}

/// Judges the environment as production would, and prints what it finds.
pub(super) async fn run() -> anyhow::Result<()> {
    let mut values = Settings::process_values()?;
    values.insert("PORTCULLIS_ENV".into(), "production".into());
    let (values, sources) = sources::resolve(values).await;
    sources.close().await;
    let problems = problems(&Settings::from_values(values.clone()), &values).await;
    if !problems.is_empty() {
        return Err(SettingsError(problems).into());
    }
    writeln!(std::io::stdout(), "nothing speaks against production with these settings")?;
    Ok(())
}

/// The policies and the examples beside them.
fn unfit_policies(values: &Values) -> anyhow::Result<()> {
    let folder = values.get("PORTCULLIS_POLICIES").filter(|folder| !folder.is_empty()).map(Path::new);
    let policies = policies(folder)?;
    let examples = match folder.map(|folder| folder.join(cases::FILE)) {
        None => cases::BUILT_IN.to_owned(),
        Some(file) if file.exists() => fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?,
        Some(_) => return Ok(()),
    };
    let report = cases::run(&policies, &examples).with_context(|| format!("PORTCULLIS_POLICIES: {} cannot be read", cases::FILE))?;
    anyhow::ensure!(report.wrong.is_empty(), "PORTCULLIS_POLICIES: {}", report.wrong.join("; "));
    Ok(())
}

async fn problems(settings: &Result<Settings, SettingsError>, values: &Values) -> Vec<String> {
    let mut problems = settings.as_ref().err().map(|error| error.0.clone()).unwrap_or_default();
    if values.is_given("PORTCULLIS_OWNER_DATABASE_URL") || values.is_given("PORTCULLIS_OWNER_DATABASE_URL_FILE") {
        problems.push("PORTCULLIS_OWNER_DATABASE_URL is for `portcullis migrate` alone: the service must not have it".into());
    }
    if let Ok(Settings { tls: Tls::Files(paths), .. }) = settings {
        problems.extend(Identity::from_files(paths).and_then(Identity::certified).err().map(|error| format!("{error:#}")));
    }
    problems.extend(unfit_policies(values).err().map(|error| format!("{error:#}")));
    if let Some(database) = Settings::database_in(values) {
        if let Ok(Settings { key_encryption_key: Some(key), previous_key_encryption_key: previous, .. }) = settings {
            let pool = db::pool(database.service.clone(), 1);
            // what else is wrong with the database is told below
            if let Some(error @ KeyringError::WrongKeyEncryptionKey { .. }) =
                Keyring::unfit(&pool, KeyEncryption::new(key.clone(), previous.clone())).await
            {
                problems.push(format!("PORTCULLIS_KEY_ENCRYPTION_KEY: {error}"));
            }
            pool.close().await;
        }
        problems.extend(db::unfit(&database.service).await.into_iter().map(|problem| format!("DATABASE_URL: {problem}")));
    }
    problems
}
