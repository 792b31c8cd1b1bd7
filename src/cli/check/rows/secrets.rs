//! Secrets management: what they are like, where they come from, whether they open what they should, and how old keys are.
//! Practices 9.never-hardcode, 9.rotate, 16.checklist. Tests: `tests/suite/contract/check.rs`.

use super::{Check, Finding, advise, insist};
use crate::{
    cli::check::facts::{Facts, Sealing},
    platform::keyring::{Purpose, shown},
    settings::list::SETTINGS,
};
use time::Duration;

const KEY: &str = "PORTCULLIS_KEY_ENCRYPTION_KEY";
const ROTATION: &str = "PORTCULLIS_KEY_ROTATION_DAYS";

const SOURCES: &[&str] = &[
    "PORTCULLIS_VAULT_URL",
    "PORTCULLIS_VAULT_NAMESPACE",
    "PORTCULLIS_VAULT_CA_FILE",
    "PORTCULLIS_VAULT_TOKEN",
    "PORTCULLIS_VAULT_ROLE_ID",
    "PORTCULLIS_VAULT_SECRET_ID",
    "PORTCULLIS_VAULT_APPROLE_MOUNT",
    "PORTCULLIS_SECRETS_REFRESH_SECONDS",
    "PORTCULLIS_SECRETS_WAIT_SECONDS",
];

/// A service that was down replaces its keys soon after it starts.
const LATE: Duration = Duration::days(1);

/// What the settings say of a secret that is a placeholder, short or in use elsewhere is this check's, whatever the secret is for.
pub(in crate::cli::check) const STRENGTH: &str = "secrets.strength";

pub(super) const CHECKS: &[Check] = &[
    insist(STRENGTH, &[], |facts| match &facts.settings {
        Ok(_) => Finding::holds(format!("{} secrets are set; none is a placeholder, short or used twice", given(facts).count())),
        Err(_) => Finding::cannot_tell("the settings cannot be read as a whole"),
    }),
    advise("secrets.sources", SOURCES, |facts| {
        let open = facts.files.iter().filter(|file| file.mode & 0o022 != 0);
        let open = open.map(|file| format!("{}: the file can be written by others than its owner (mode {:o})", file.setting, file.mode & 0o777));
        let by_value: Vec<&str> = given(facts).filter(|name| facts.values.is_written_out(name)).collect();
        let remark = match &by_value[..] {
            [] => "every secret comes from a file or a manager".to_owned(),
            names => {
                format!(
                    "in the environment: {}; files and managers keep them out of it, where child processes and crash dumps have them",
                    names.join(", ")
                )
            }
        };
        Finding::unless(open.collect(), format!("files of secrets are their owners'; {remark}"))
    }),
    insist("secrets.key-encryption-key", &[KEY, "PORTCULLIS_PREVIOUS_KEY_ENCRYPTION_KEY"], |facts| {
        facts.in_database(|found| match &found.sealing {
            Sealing::Unknown(reason) => Finding::cannot_tell(reason.as_str()),
            Sealing::Wrong(reason) => Finding::falls_short(format!("{KEY}: {reason}")),
            Sealing::Opens => Finding::holds("the key-encryption key opens every key in the database"),
        })
    }),
    insist("secrets.environment", &[], |facts| {
        facts.in_database(|found| {
            if found.inspected.schema.is_some() {
                return Finding::cannot_tell("the schema is behind");
            }
            let foreign = found.inspected.foreign.iter().map(|error| format!("DATABASE_URL: {error}"));
            Finding::unless(foreign.collect(), "no other environment has used the database")
        })
    }),
    advise("secrets.rotation", &[ROTATION], |facts| {
        facts.in_database(|found| {
            let (Ok(keys), Some(days)) = (&found.keys, facts.number(ROTATION)) else {
                return Finding::cannot_tell("the keys cannot be listed");
            };
            let longest = Duration::days(i64::try_from(days.min(365)).unwrap_or_default());
            let rotating = |purpose: &str| Purpose::named(purpose).is_some_and(|purpose| purpose.is_scheduled());
            let active: Vec<_> = keys.iter().filter(|key| key.state == "active" && rotating(&key.purpose)).collect();
            if active.is_empty() {
                return Finding::cannot_tell("there are no keys yet: the first start makes them");
            }
            let old = active.iter().filter(|key| facts.now - key.changed_at > longest.saturating_add(LATE));
            let old = old.map(|key| {
                format!("{ROTATION} is {days}, and {} v{} is in use since {}: does the service run?", key.purpose, key.version, shown(key.changed_at))
            });
            Finding::unless(old.collect(), format!("no key that the schedule replaces is in use for longer than {days} days"))
        })
    }),
];

/// Secrets that are set.
fn given(facts: &Facts) -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().filter(|setting| setting.secret).map(|setting| setting.name).filter(|name| facts.is_given(name))
}
