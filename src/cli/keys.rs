//! The keys of the service, for operators. Running nodes hear of every change at once. Guide: `docs/keys.md`.
//! Practice 9.rotate. Tests: `tests/suite/journeys/rotation.rs`.

use crate::{
    audit::{self, Entry, Event, Origin},
    cli::{Opened, open},
    platform::{
        clock::Clock,
        keyring::{
            Keyring, Purpose, Revocation, Rotation, rows, shown, store,
            wrapping::{self, Standing},
        },
    },
    settings::Settings,
};
use anyhow::{Context, bail};
use serde_json::json;
use sqlx::PgPool;
use std::{collections::HashMap, io::Write};
use time::OffsetDateTime;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Show every key there ever was, never the key itself, and how many rows hang on each.
    List {
        /// Of this purpose only.
        purpose: Option<String>,
    },
    /// Show what keys there are for, how those of each purpose rotate, and what revoking them costs.
    Purposes,
    /// Let the next key take over; what the one before made stays good: until it runs out, is sealed anew, or is gone.
    Rotate {
        /// One of `portcullis keys purposes`.
        purpose: String,
        /// Also when others may not know the next key yet.
        #[arg(long)]
        now: bool,
    },
    /// End the overlap of a rotation: what retired keys made is refused from now on.
    Retire {
        /// One whose keys rotate with an overlap.
        purpose: String,
    },
    /// Seal rows under retired keys anew, beside running nodes; they do it by themselves, more slowly. Can be stopped anywhere and begun again.
    Reseal {
        /// This one only.
        purpose: Option<String>,
    },
    /// Seal the keyring anew under PORTCULLIS_KEY_ENCRYPTION_KEY, where it is under PORTCULLIS_PREVIOUS_KEY_ENCRYPTION_KEY.
    ///
    /// Beside running nodes, which have both. Can be stopped anywhere and begun again.
    Reencrypt,
    /// Somebody else may have the keys: make all there are worthless, at once, destroy them, and make fresh ones.
    ///
    /// `portcullis keys purposes` says for each purpose what that costs.
    Revoke {
        /// One of `portcullis keys purposes`.
        purpose: String,
        /// Where something is lost that does not come back by itself.
        #[arg(long)]
        yes_destroy: bool,
    },
}

pub(super) async fn run(command: Command, settings: &Settings) -> anyhow::Result<()> {
    let clock = Clock::system();
    if matches!(command, Command::Purposes) {
        return purposes();
    }
    let Opened { pool, keyring, local: _local, .. } = open(settings, &clock).await?;
    let (now, algorithm) = (clock.now(), settings.token_algorithm);
    let mut transaction = pool.begin().await?;
    let (event, purpose) = match command {
        Command::Purposes => return purposes(),
        Command::List { purpose } => {
            let purpose = purpose.as_deref().map(named).transpose()?;
            drop(transaction);
            list(&pool, purpose, now).await?;
            if keyring.key_encryption().has_previous() {
                previous(&pool, &keyring).await?;
            }
            return Ok(());
        }
        Command::Reseal { purpose } => {
            let purpose = purpose.as_deref().map(named).transpose()?;
            drop(transaction);
            return reseal(&pool, &keyring, purpose, now).await;
        }
        Command::Reencrypt => {
            drop(transaction);
            return reencrypt(&pool, &keyring, now).await;
        }
        Command::Rotate { purpose, now: is_urgent } => {
            let purpose = named(&purpose)?;
            store::rotate(&mut transaction, &keyring, purpose, algorithm, is_urgent, now).await?;
            (Event::KeysRotated, purpose)
        }
        Command::Retire { purpose } => {
            let purpose = with_overlap(&purpose)?;
            if store::retire(&mut transaction, purpose, now).await? == 0 {
                bail!("no retired key of {} is accepted any more", purpose.name());
            }
            (Event::KeysRetired, purpose)
        }
        Command::Revoke { purpose, yes_destroy } => {
            let purpose = revocable(&purpose, yes_destroy)?;
            store::revoke(&mut transaction, &keyring, purpose, algorithm, now).await?;
            (Event::KeysRevoked, purpose)
        }
    };
    let origin = Origin::service();
    let entry = Entry::new(event, &origin, None, None).detail(json!({ "purpose": purpose.name(), "by": "command" }));
    audit::record(&mut transaction, &keyring, now, entry).await?;
    transaction.commit().await?;
    if event == Event::KeysRevoked {
        clear(&pool, purpose, now).await.context("the keys are revoked, and not all that they leave behind was taken away: do it again")?;
    }
    list(&pool, Some(purpose), now).await
}

fn named(purpose: &str) -> anyhow::Result<Purpose> {
    match Purpose::named(purpose) {
        Some(purpose) => Ok(purpose),
        None => bail!("{purpose} is no purpose; there are: {}", Purpose::ALL.iter().map(|known| known.name()).collect::<Vec<_>>().join(", ")),
    }
}

fn with_overlap(purpose: &str) -> anyhow::Result<Purpose> {
    let purpose = named(purpose)?;
    match purpose.rotation() {
        Rotation::Overlap(_) => Ok(purpose),
        Rotation::Reseal => {
            bail!("retired keys of {0} end by themselves once nothing is sealed under them: `portcullis keys reseal {0}`", purpose.name())
        }
        Rotation::UntilGone => bail!("retired keys of {} end by themselves once nothing hangs on them", purpose.name()),
        Rotation::ForEver => bail!("retired keys of {} are needed for as long as the audit log", purpose.name()),
    }
}

fn revocable(purpose: &str, is_agreed: bool) -> anyhow::Result<Purpose> {
    let purpose = named(purpose)?;
    match purpose.revocation() {
        Revocation::Refused(reason) => bail!("keys of {} are not revoked: {reason}", purpose.name()),
        Revocation::Destroys(what) if !is_agreed => bail!("{what}. If that is meant: --yes-destroy"),
        Revocation::Destroys(_) | Revocation::Ends(_) => Ok(purpose),
    }
}

/// In a transaction of its own: nothing that takes long may stand between an emergency and the end of the keys.
async fn clear(pool: &PgPool, purpose: Purpose, now: OffsetDateTime) -> anyhow::Result<()> {
    let mut transaction = pool.begin().await?;
    let cleared = rows::clear_revoked(&mut transaction, purpose, now).await?;
    transaction.commit().await?;
    if cleared > 0 {
        writeln!(std::io::stdout(), "{cleared} rows that hung on them were ended or deleted")?;
    }
    Ok(())
}

async fn reseal(pool: &PgPool, keyring: &Keyring, purpose: Option<Purpose>, now: OffsetDateTime) -> anyhow::Result<()> {
    if let Some(purpose) = purpose.filter(|purpose| purpose.rotation() != Rotation::Reseal) {
        bail!("nothing of {} is sealed anew: it rotates by {:?}", purpose.name(), purpose.rotation().name());
    }
    let own = Purpose::ALL.iter().copied().filter(|own| own.rotation() == Rotation::Reseal && purpose.is_none_or(|purpose| purpose == *own));
    for purpose in own {
        // what somebody held in the first round comes in a later one
        loop {
            let told = |so_far| tracing::info!(purpose = purpose.name(), so_far, "sealed anew");
            let walk = rows::reseal(pool, keyring, purpose, (usize::MAX, rows::BATCH), told).await?;
            if walk.unreadable > 0 {
                writeln!(std::io::stdout(), "{:<14} {} rows do not open: they were altered", purpose.name(), walk.unreadable)?;
            }
            if walk.resealed == 0 {
                break;
            }
            writeln!(std::io::stdout(), "{:<14} {} rows sealed anew", purpose.name(), walk.resealed)?;
        }
        let mut transaction = pool.begin().await?;
        if rows::end_idle(&mut transaction, purpose, now).await? > 0 {
            let origin = Origin::service();
            let entry = Entry::new(Event::KeysRetired, &origin, None, None).detail(json!({ "purpose": purpose.name(), "by": "command" }));
            audit::record(&mut transaction, keyring, now, entry).await?;
        }
        transaction.commit().await?;
        list(pool, Some(purpose), now).await?;
    }
    Ok(())
}

async fn reencrypt(pool: &PgPool, keyring: &Keyring, now: OffsetDateTime) -> anyhow::Result<()> {
    if !keyring.key_encryption().has_previous() {
        bail!("PORTCULLIS_PREVIOUS_KEY_ENCRYPTION_KEY is not set: it opens what is to be sealed anew");
    }
    let done = wrapping::reencrypt(pool, keyring, wrapping::BATCH, |_| {}).await?;
    if done > 0 {
        let origin = Origin::service();
        let mut transaction = pool.begin().await?;
        let entry = Entry::new(Event::KeysReencrypted, &origin, None, None).detail(json!({ "count": done, "by": "command" }));
        audit::record(&mut transaction, keyring, now, entry).await?;
        transaction.commit().await?;
    }
    writeln!(std::io::stdout(), "{done} keys sealed anew")?;
    let standing = previous(pool, keyring).await?;
    if standing.previous + standing.neither > 0 { bail!("the keyring is not all under PORTCULLIS_KEY_ENCRYPTION_KEY") } else { Ok(()) }
}

/// What the previous key-encryption key is still needed for.
fn of_previous(Standing { previous, neither, .. }: Standing) -> String {
    match (previous, neither) {
        (0, 0) => "PORTCULLIS_PREVIOUS_KEY_ENCRYPTION_KEY is not needed any more: start every node without it".to_owned(),
        (0, neither) => format!("{neither} keys open under neither key-encryption key"),
        (left, _) => format!("{left} keys hang on PORTCULLIS_PREVIOUS_KEY_ENCRYPTION_KEY: once every node has both, `portcullis keys reencrypt`"),
    }
}

async fn previous(pool: &PgPool, keyring: &Keyring) -> anyhow::Result<Standing> {
    let standing = wrapping::standing(pool, keyring.key_encryption()).await?;
    writeln!(std::io::stdout(), "{}", of_previous(standing))?;
    Ok(standing)
}

/// The same into the log of a service that starts.
pub(super) async fn tell_of_previous(pool: &PgPool, keyring: &Keyring) -> anyhow::Result<()> {
    if keyring.key_encryption().has_previous() {
        let standing = wrapping::standing(pool, keyring.key_encryption()).await?;
        tracing::warn!(left = standing.previous, "{}", of_previous(standing));
    }
    Ok(())
}

fn purposes() -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    for purpose in Purpose::ALL {
        let overlap = purpose.rotation().overlap().map(|overlap| format!(" of {overlap}")).unwrap_or_default();
        let by = if purpose.is_scheduled() { "schedule and command" } else { "command" };
        writeln!(out, "{}\n  rotates  {}{overlap}, by {by}", purpose.name(), purpose.rotation().name())?;
        match purpose.revocation() {
            Revocation::Ends(words) => writeln!(out, "  revoke   {words}")?,
            Revocation::Destroys(words) => writeln!(out, "  revoke   --yes-destroy: {words}")?,
            Revocation::Refused(words) => writeln!(out, "  revoke   refused: {words}")?,
        }
    }
    Ok(())
}

async fn list(pool: &PgPool, purpose: Option<Purpose>, now: OffsetDateTime) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let mut connection = pool.acquire().await?;
    let mut counts: HashMap<&'static str, Option<HashMap<i32, i64>>> = HashMap::new();
    for key in store::list(&mut connection).await?.iter().filter(|key| purpose.is_none_or(|purpose| purpose.name() == key.purpose)) {
        let until = match key.accepted_until {
            Some(until) if until > now => format!(", accepted until {}", shown(until)),
            Some(_) if Purpose::named(&key.purpose).is_some_and(|of| of.rotation().overlap().is_none()) => ", about to end".to_owned(),
            Some(_) => ", not accepted any more".to_owned(),
            None => String::new(),
        };
        let is_counting = matches!(key.state.as_str(), "active" | "retired");
        let rows = match Purpose::named(&key.purpose).filter(|_| is_counting) {
            Some(of) => {
                if !counts.contains_key(of.name()) {
                    counts.insert(of.name(), rows::count(&mut connection, of).await?);
                }
                let own = counts.get(of.name()).and_then(Option::as_ref);
                own.map(|own| format!(", {} rows", own.get(&key.version).copied().unwrap_or_default())).unwrap_or_default()
            }
            None => String::new(),
        };
        let (algorithm, state) = (key.algorithm.as_deref().unwrap_or("-"), if key.ended { "ended" } else { &key.state });
        writeln!(out, "{:<14} v{:<4} {algorithm:<6} {state:<8} since {}{until}{rows}", key.purpose, key.version, shown(key.changed_at))?;
    }
    Ok(())
}
