//! Secrets that are kept elsewhere, while the service runs: they are read again, the token that opens Vault is renewed, and a database
//! password that changed is taken up without a restart. Anything else that changed waits for one, and says so.
//! Practices 9.env-or-manager, 9.rotate. Tests: `tests/suite/journeys/kept_secrets.rs`.

use crate::{
    platform::db,
    settings::{Sources, database::with_changed_password},
};
use secrecy::SecretString;
use sqlx::{PgPool, postgres::PgConnectOptions};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// After a token could not be renewed.
const PAUSE: Duration = Duration::from_secs(5);

/// Where a changed database password goes.
pub(super) struct Target {
    /// Its connections to come use it; those that are open go on.
    pub(super) pool: PgPool,
    /// How connections are made now; tells the revocation feed.
    pub(super) changed: watch::Sender<PgConnectOptions>,
}

/// What was said already, so that it is said once.
#[derive(Default)]
struct Told {
    failing: bool,
    waiting: BTreeSet<&'static str>,
}

/// Goes on for as long as the process lives; without anything to read, it only gives back what is not needed.
pub(super) async fn follow(mut sources: Sources, target: Target) {
    let Some(every) = sources.every.filter(|_| !sources.is_empty()) else { return sources.close().await };
    let mut told = Told::default();
    let mut round = Instant::now() + every;
    let mut not_before = Instant::now();
    loop {
        let renewal = sources.renew_at().map(|at| at.max(not_before));
        tokio::time::sleep_until(renewal.map_or(round, |renewal| renewal.min(round)).into()).await;
        if renewal.is_some_and(|renewal| renewal <= Instant::now()) {
            match sources.renew().await {
                Ok(()) => tracing::debug!("the token for Vault is renewed"),
                Err(fault) => {
                    tracing::warn!(%fault, "the token for Vault could not be renewed, will try again");
                    not_before = Instant::now() + PAUSE;
                }
            }
        }
        if round <= Instant::now() {
            read_again(&mut sources, &target, &mut told).await;
            round = Instant::now() + every;
        }
    }
}

async fn read_again(sources: &mut Sources, target: &Target, told: &mut Told) {
    let mut waiting = BTreeSet::new();
    let mut fault = None;
    for (name, outcome) in sources.read().await {
        match outcome {
            Ok(secret) if !sources.is_new(name, &secret) => {}
            Ok(secret) => match target.take_up(name, &secret).await {
                TakenUp::Now => sources.accept(name, &secret),
                TakenUp::Later => {}
                TakenUp::AtTheNextStart => _ = waiting.insert(name),
            },
            Err(reason) => fault = Some((name, reason)),
        }
    }
    metrics::counter!("portcullis_secret_reads_total", "outcome" => if fault.is_some() { "failed" } else { "ok" }).increment(1);
    metrics::gauge!("portcullis_secrets_waiting_for_restart").set(f64::from(u32::try_from(waiting.len()).unwrap_or(u32::MAX)));
    match (&fault, std::mem::replace(&mut told.failing, fault.is_some())) {
        (Some((setting, fault)), false) => {
            tracing::warn!(setting, %fault, "secrets could not be read again: what was read before stays in use, will try again");
        }
        (None, true) => tracing::info!("secrets can be read again"),
        _ => {}
    }
    for setting in waiting.difference(&told.waiting) {
        tracing::warn!(setting, "this secret has changed where it is kept: it is taken up at the next start");
    }
    told.waiting = waiting;
}

/// What becomes of a secret that changed.
enum TakenUp {
    Now,
    /// It is tried again in the next round.
    Later,
    AtTheNextStart,
}

impl Target {
    /// Uses a changed password once it has proven to be the right one: managers are often changed a moment before the database.
    async fn take_up(&self, name: &str, url: &SecretString) -> TakenUp {
        let changed = Some(url).filter(|_| name == "DATABASE_URL").and_then(|url| with_changed_password(&self.changed.borrow(), url));
        let Some(options) = changed else { return TakenUp::AtTheNextStart };
        if let Err(error) = db::reach(&options).await {
            tracing::warn!(%error, "the changed password of the database does not work yet, will try again");
            return TakenUp::Later;
        }
        self.pool.set_connect_options(options.clone());
        self.changed.send_replace(options);
        tracing::info!("the changed password of the database is in use");
        TakenUp::Now
    }
}
