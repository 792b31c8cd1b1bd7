//! The feed: how a node hears at once what others ended. It listens on a connection of its own, then reads what ended lately, then
//! follows. Twice a second it sends a beat through the database to itself; a beat that came back proves that everything said before
//! it was heard, because Postgres delivers in the order of commits. A connection that is cut, half-open, or listens at nothing (behind a
//! pooler) brings no beat back, and what memory says is not trusted any more: [`Revocations::is_trusted`].
//! Practice 2.revocation. Attacks: `tests/suite/attacks/s02_credentials/cut_feed.rs`.

use crate::{
    platform::{
        clock::Clock,
        crypto,
        keyring::{Keyring, KeyringError},
    },
    sessions::{
        revocation::{KEPT, Revocations},
        store,
    },
};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};
use tokio::{sync::watch, time::MissedTickBehavior};
use uuid::Uuid;

/// What the triggers of the schema speak on.
const CHANNEL: &str = "portcullis";
/// How often a beat is sent.
const BEAT: Duration = Duration::from_millis(500);
/// A connection that takes longer for an answer or a beat is given up. (Reading keys goes by the pool, with a limit of its own.)
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(250);

/// Who is to hear.
#[derive(Clone)]
pub struct Feed {
    /// The database, without a pooler in between. Its password may change.
    pub options: watch::Receiver<PgConnectOptions>,
    /// For the keyring.
    pub pool: PgPool,
    /// What was heard.
    pub revocations: Revocations,
    /// Follows its table.
    pub keyring: Keyring,
    /// For the time of what is in the database.
    pub clock: Clock,
}

/// Why a connection was given up.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("the connection ended")]
    Closed,
    #[error("no beat came back")]
    Silent,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Keys(#[from] KeyringError),
}

impl From<tokio::time::error::Elapsed> for Lost {
    fn from(_: tokio::time::error::Elapsed) -> Self {
        Self::Silent
    }
}

impl Feed {
    /// Follows the feed, connecting anew for as long as it takes, until told to stop.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut is_known_lost = false;
        loop {
            let lost = tokio::select! {
                _ = stopped.changed() => return,
                Err(lost) = self.listen(&mut is_known_lost) => lost,
            };
            self.revocations.distrust();
            // once a loss, not once an attempt to connect again
            if !std::mem::replace(&mut is_known_lost, true) {
                metrics::counter!("portcullis_feed_losses_total").increment(1);
                tracing::warn!(error = %lost, "the revocation feed is lost: tokens are checked in the database until it is back");
            }
            // keys may have changed meanwhile, and the pool may still have connections
            if let Err(error) = self.keyring.reload_unless_recent(&self.pool).await {
                tracing::debug!(%error, "the keyring cannot be read");
            }
            tokio::select! {
                _ = stopped.changed() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// One connection's life.
    async fn listen(&self, is_known_lost: &mut bool) -> Result<std::convert::Infallible, Lost> {
        let beats = format!("portcullis_beat_{}", Uuid::from_bytes(crypto::random()).simple());
        let mut listener = tokio::time::timeout(PATIENCE, self.connect(&beats)).await??;
        // listen first, then read: what ends in between is heard
        let now = self.clock.now();
        for session in tokio::time::timeout(PATIENCE, store::ended_since(&mut listener, now - KEPT, now)).await?? {
            self.revocations.ended(session);
        }
        for (account, version) in tokio::time::timeout(PATIENCE, store::authority_since(&mut listener, now - KEPT, now)).await?? {
            self.revocations.authority_is(account, version);
        }
        self.keyring.reload(&self.pool).await?;

        let mut ticks = tokio::time::interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut out: VecDeque<Instant> = VecDeque::new();
        loop {
            let heard = tokio::select! {
                heard = listener.try_recv() => heard?.ok_or(Lost::Closed)?,
                _ = ticks.tick() => {
                    if out.front().is_some_and(|sent| sent.elapsed() > PATIENCE) {
                        return Err(Lost::Silent);
                    }
                    out.push_back(Instant::now());
                    tokio::time::timeout(PATIENCE, store::say(&mut listener, &beats)).await??;
                    continue;
                }
            };
            if heard.channel() == beats {
                if let Some(sent) = out.pop_front() {
                    self.revocations.heard_up_to(sent);
                }
                if std::mem::take(is_known_lost) {
                    tracing::info!("the revocation feed is back");
                }
            } else {
                self.apply(heard.payload()).await?;
            }
        }
    }

    /// A pool of one, because that is what a listener takes; a new one each time, because a lost connection may be slow to die.
    async fn connect(&self, beats: &str) -> Result<PgListener, sqlx::Error> {
        let pool = PgPoolOptions::new().max_connections(1).test_before_acquire(false).max_lifetime(None).idle_timeout(None);
        let options = self.options.borrow().clone();
        let mut listener = PgListener::connect_with(&pool.connect_lazy_with(options)).await?;
        listener.ignore_pool_close_event(true);
        listener.eager_reconnect(false);
        listener.listen_all([CHANNEL, beats]).await?;
        Ok(listener)
    }

    async fn apply(&self, said: &str) -> Result<(), KeyringError> {
        let mut words = said.split(' ');
        match (words.next(), words.next().and_then(|id| id.parse().ok()), words.next().and_then(|version| version.parse().ok())) {
            (Some("session"), Some(session), None) => self.revocations.ended(session),
            (Some("account"), Some(account), Some(version)) => self.revocations.authority_is(account, version),
            (Some("keys"), None, None) => self.keyring.reload(&self.pool).await?,
            // a newer binary, while it rolls out, or somebody at a console
            _ => tracing::warn!(said, "the revocation feed said something unknown"),
        }
        Ok(())
    }
}
