//! How often. Ordinary traffic: token buckets in memory ([`buckets`]), one a client address, one an API key and one a signed-in person. Sensitive
//! calls: exact counters that all nodes share, in Postgres ([`store`]) or, where there is one, in Redis ([`script`]); counted before the
//! work, by one statement for everything that a call is counted under. Where Redis is away, each node counts its part in memory.
//! The quotas: [`list`].
//!
//! Practices 4.sliding-window, 4.fixed-window, 4.sensitive-routes, 4.brute-force, 4.distributed, 4.retry-after.
//! Attacks: `tests/suite/attacks/s04_rate_limits/`.

#[cfg_attr(not(feature = "governor"), path = "no_buckets.rs")]
pub mod buckets;
pub mod list;
mod script;
pub mod store;

pub use list::Quota;

use crate::{
    error::{ApiError, Exhausted, Limit},
    platform::{
        crypto,
        keyring::Purpose,
        window::{Counted, Key, Rule},
    },
    state::State,
};
use sqlx::PgConnection;
use time::OffsetDateTime;

/// A quota of somebody.
#[derive(Debug, Clone, Copy)]
pub struct Count {
    /// Which quota.
    pub quota: Quota,
    /// For whom: a keyed digest, so that the counters tell nobody who was asked for.
    subject: [u8; 32],
}

impl Count {
    /// The quota of what these parts name.
    #[must_use]
    pub fn of(state: &State, quota: Quota, parts: &[&str]) -> Self {
        let (_, key) = state.keyring.active(Purpose::Lookup);
        let bytes: Vec<&[u8]> = std::iter::once("quota").chain(parts.iter().copied()).map(str::as_bytes).collect();
        Self { quota, subject: crypto::mac(key.expose(), &bytes) }
    }

    fn key(&self) -> Key {
        (self.quota.name(), self.subject)
    }
}

/// Where something was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Store {
    Postgres,
    Redis,
    /// In this node's memory, each node its part of the number.
    Local,
}

/// What was counted, to be given back when the attempt turns out to be the owner's.
pub struct Spent {
    store: Store,
    counted: Vec<(Count, Counted)>,
}

impl Spent {
    /// Whether more than its number is used of a quota that refuses nothing by itself.
    #[must_use]
    pub fn is_beyond(&self, state: &State, quota: Quota) -> bool {
        let number = quota.number(&state.settings.quotas) / self.store.nodes(state);
        // what is not there was not counted: doubt
        self.counted.iter().find(|(count, _)| count.quota == quota).is_none_or(|(_, counted)| counted.used > number.max(1))
    }
}

impl Spent {
    /// How many are counted of a quota, this one included; 0: it was not counted.
    #[must_use]
    pub fn used(&self, quota: Quota) -> u32 {
        self.counted.iter().find(|(count, _)| count.quota == quota).map_or(0, |(_, counted)| counted.used)
    }
}

impl Store {
    /// How many share a quota's number.
    fn nodes(self, state: &State) -> u32 {
        if self == Self::Local { state.settings.quotas.nodes } else { 1 }
    }
}

/// Counts under each quota of a call, or where one of them is used up, under none: whoever is over their own limit uses nothing of
/// anybody else's up. Parallel calls cannot get past a limit.
///
/// # Errors
/// 429 with the time until there is room; 503 when there is nowhere to count, because nobody may guess unobserved.
pub async fn spend(state: &State, counts: &[Count]) -> Result<Spent, ApiError> {
    try_spend(state, counts).await?.map_err(ApiError::rate_limited)
}

/// The same for whoever goes on without.
///
/// # Errors
/// When there is nowhere to count.
pub async fn try_spend(state: &State, counts: &[Count]) -> Result<Result<Spent, Exhausted>, ApiError> {
    try_spend_at(state, counts, state.clock.now()).await
}

/// The same at another time, for tests that hold the stores together.
///
/// # Errors
/// When there is nowhere to count.
pub async fn try_spend_at(state: &State, counts: &[Count], now: OffsetDateTime) -> Result<Result<Spent, Exhausted>, ApiError> {
    let now = milliseconds(now);
    let (store, counted) = count(state, counts, now).await?;
    // a quota whose counters did not answer is not to be passed
    if counted.len() != counts.len() {
        return Err(ApiError::unavailable(anyhow::anyhow!("{} of {} counters answered", counted.len(), counts.len())));
    }
    let counted: Vec<(Count, Counted)> = counts.iter().copied().zip(counted).collect();
    // whoever waits for the last of them is not refused again
    let refused = counted.iter().filter(|(_, counted)| counted.is_over).max_by_key(|(_, counted)| counted.frees_at_ms);
    let Some((Count { quota, .. }, Counted { frees_at_ms, .. })) = refused else { return Ok(Ok(Spent { store, counted })) };
    let wait_ms = u64::try_from(frees_at_ms - now).unwrap_or_default().max(1000);
    Ok(Err(exhausted(*quota, state, std::time::Duration::from_millis(wait_ms))))
}

async fn count(state: &State, counts: &[Count], now: i64) -> Result<(Store, Vec<Counted>), ApiError> {
    let asked = |store: Store| -> Vec<(Key, Rule)> {
        counts.iter().map(|count| (count.key(), count.quota.rule(&state.settings.quotas, store.nodes(state)))).collect()
    };
    let Some(redis) = &state.redis else {
        return Ok((Store::Postgres, store::spend(&state.pool, &asked(Store::Postgres), now).await?));
    };
    if let Ok(counted) = script::spend(redis, &asked(Store::Redis), now).await {
        return Ok((Store::Redis, counted));
    }
    // told once by `platform::redis`; more keys than there is room for are nobody's normal day
    let counted = state.windows.spend(&asked(Store::Local), now).ok_or_else(|| ApiError::unavailable(anyhow::anyhow!("too many counters")))?;
    Ok((Store::Local, counted))
}

/// Gives back what was counted: the attempt turned out to be the owner's. Where Redis is away by now, it stays counted.
///
/// # Errors
/// When Postgres is the store and is away.
pub async fn give_back(state: &State, spent: &Spent) -> Result<(), ApiError> {
    let parts: Vec<(Key, i64)> = spent.counted.iter().map(|(count, counted)| (count.key(), counted.start_ms)).collect();
    match (spent.store, &state.redis) {
        (Store::Local, _) => parts.iter().for_each(|(key, start)| state.windows.give_back(key, *start)),
        (Store::Redis, Some(redis)) => _ = script::give_back(redis, &parts).await,
        _ => store::give_back(&state.pool, &parts).await?,
    }
    Ok(())
}

/// Forgets what was counted: a row that ends with a success. In Postgres in the caller's transaction. Where Redis is away, the row goes
/// on: a new device of the owner may need a letter the sooner for it.
///
/// # Errors
/// When the database is away.
pub async fn forget(state: &State, connection: &mut PgConnection, count: Count) -> Result<(), sqlx::Error> {
    let Some(redis) = &state.redis else { return store::forget(connection, &count.key()).await };
    state.windows.forget(&count.key());
    _ = script::forget(redis, &count.key()).await;
    Ok(())
}

/// What a caller and the metrics are told about a quota that is used up.
pub(super) fn exhausted(quota: Quota, state: &State, wait: std::time::Duration) -> Exhausted {
    metrics::counter!("portcullis_quota_refusals_total", "quota" => quota.name()).increment(1);
    let quotas = &state.settings.quotas;
    Exhausted { limit: Limit { quota: quota.name(), number: quota.number(quotas), window: quota.window(quotas).unsigned_abs() }, wait }
}

fn milliseconds(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// Forgets what this node counted for itself and what does not count any more.
pub fn forget_old(state: &State) {
    state.windows.forget_old(milliseconds(state.clock.now()));
}
