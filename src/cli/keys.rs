//! The keys of the service, for operators. Running nodes hear of every change at once.

use crate::{
    audit::{self, Entry, Event, Origin},
    cli::{Opened, open},
    platform::{
        clock::Clock,
        keyring::{Purpose, shown, store},
    },
    sessions,
    settings::Settings,
};
use anyhow::bail;
use serde_json::json;
use std::io::Write;
use time::OffsetDateTime;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Show every key there ever was, never the key itself.
    List {
        /// Of this purpose only.
        purpose: Option<String>,
    },
    /// Let the next key take over; what the one before made is good until it runs out.
    Rotate {
        /// `token_signing` or `refresh_token`.
        purpose: String,
        /// Also when others may not know the next key yet.
        #[arg(long)]
        now: bool,
    },
    /// End the overlap of a rotation: what retired keys made is refused from now on.
    Retire {
        /// `token_signing` or `refresh_token`.
        purpose: String,
    },
    /// Somebody else may have the keys: make all there are worthless, at once, and fresh ones.
    ///
    /// `token_signing`: every access token is refused (elsewhere, once the list of public keys is read again); clients refresh theirs. `refresh_token`: every session with tokens ends.
    Revoke {
        /// `token_signing` or `refresh_token`.
        purpose: String,
    },
}

pub(super) async fn run(command: Command, settings: &Settings) -> anyhow::Result<()> {
    let clock = Clock::system();
    let Opened { pool, keyring, local: _local, .. } = open(settings, &clock).await?;
    let (now, algorithm) = (clock.now(), settings.token_algorithm);
    let mut transaction = pool.begin().await?;
    let (event, purpose) = match command {
        Command::List { purpose } => {
            let purpose = purpose.as_deref().map(named).transpose()?;
            return print(&store::list(&mut transaction).await?, purpose, now);
        }
        Command::Rotate { purpose, now: is_urgent } => {
            let purpose = rotating(&purpose)?;
            store::rotate(&mut transaction, &keyring, purpose, algorithm, is_urgent, now).await?;
            (Event::KeysRotated, purpose)
        }
        Command::Retire { purpose } => {
            let purpose = rotating(&purpose)?;
            if store::retire(&mut transaction, purpose, now).await? == 0 {
                bail!("no retired key of {} is accepted any more", purpose.name());
            }
            (Event::KeysRetired, purpose)
        }
        Command::Revoke { purpose } => {
            let purpose = rotating(&purpose)?;
            store::revoke(&mut transaction, &keyring, purpose, algorithm, now).await?;
            if purpose == Purpose::RefreshToken {
                sessions::store::revoke_all_tokens(&mut transaction, now).await?;
            }
            (Event::KeysRevoked, purpose)
        }
    };
    let origin = Origin::service();
    let entry = Entry::new(event, &origin, None, None).detail(json!({ "purpose": purpose.name(), "by": "command" }));
    audit::record(&mut transaction, &keyring, now, entry).await?;
    let keys = store::list(&mut transaction).await?;
    transaction.commit().await?;
    print(&keys, Some(purpose), now)
}

fn named(purpose: &str) -> anyhow::Result<Purpose> {
    match Purpose::named(purpose) {
        Some(purpose) => Ok(purpose),
        None => bail!("{purpose} is no purpose; there are: {}", Purpose::ALL.iter().map(|known| known.name()).collect::<Vec<_>>().join(", ")),
    }
}

fn rotating(purpose: &str) -> anyhow::Result<Purpose> {
    let purpose = named(purpose)?;
    if purpose.overlap().is_none() {
        bail!("keys of {} do not rotate; those of token_signing and refresh_token do", purpose.name());
    }
    Ok(purpose)
}

fn print(keys: &[store::Listed], purpose: Option<Purpose>, now: OffsetDateTime) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    for key in keys.iter().filter(|key| purpose.is_none_or(|purpose| purpose.name() == key.purpose)) {
        let until = match key.accepted_until {
            Some(until) if until > now => format!(", accepted until {}", shown(until)),
            Some(_) => ", not accepted any more".to_owned(),
            None => String::new(),
        };
        let since = shown(key.changed_at);
        writeln!(
            out,
            "{:<14} v{:<4} {:<6} {:<8} since {since}{until}",
            key.purpose,
            key.version,
            key.algorithm.as_deref().unwrap_or("-"),
            key.state
        )?;
    }
    Ok(())
}
