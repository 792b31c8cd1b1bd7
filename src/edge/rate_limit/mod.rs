//! How often. Ordinary traffic: a token bucket per client address, in memory ([`address`]). Sensitive calls: exact counters in
//! Postgres ([`store`]), spent before the work and shared by all nodes.
//!
//! Practices 4.token-bucket, 4.fixed-window, 4.sensitive-routes, 4.brute-force, 4.retry-after.
//! Attacks: `tests/suite/attacks/s04_rate_limits/`.

#[cfg_attr(not(feature = "governor"), path = "no_address.rs")]
pub mod address;
pub mod store;

use crate::{
    error::ApiError,
    platform::{crypto, keyring::Purpose},
    settings::Quotas,
    state::State,
};
use time::Duration;

/// The closed list of shared quotas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// Failed sign-ins for one account from one network.
    LoginFromAddress,
    /// Failed sign-ins for one account from everywhere.
    LoginToAccount,
    /// Letters that strangers may cause to one mailbox.
    Letters,
}

impl Quota {
    fn name(self) -> &'static str {
        match self {
            Self::LoginFromAddress => "login_from_address",
            Self::LoginToAccount => "login_to_account",
            Self::Letters => "letters",
        }
    }

    fn window(self) -> Duration {
        match self {
            Self::LoginFromAddress | Self::LoginToAccount => Duration::minutes(15),
            Self::Letters => Duration::hours(1),
        }
    }

    fn limit(self, quotas: &Quotas) -> i32 {
        match self {
            Self::LoginFromAddress => quotas.login,
            Self::LoginToAccount => quotas.login_account,
            Self::Letters => quotas.letters,
        }
    }
}

/// What a quota counts for: a keyed digest, so that the table tells nobody who was asked for.
#[must_use]
pub fn subject(state: &State, parts: &[&str]) -> [u8; 32] {
    let (_, key) = state.keyring.active(Purpose::Lookup);
    let bytes: Vec<&[u8]> = std::iter::once("quota").chain(parts.iter().copied()).map(str::as_bytes).collect();
    crypto::mac(key, &bytes)
}

/// Counts first and decides then, by one statement: parallel calls cannot get past the limit.
///
/// # Errors
/// 429 with the time until the window ends; 503 when the database is away, because nobody may guess unobserved.
pub async fn spend(state: &State, quota: Quota, subject: &[u8]) -> Result<(), ApiError> {
    let now = state.clock.now();
    let (used, window_ends_at) = store::count(&state.pool, quota.name(), subject, now, now + quota.window()).await?;
    if used <= quota.limit(&state.settings.quotas) {
        return Ok(());
    }
    metrics::counter!("portcullis_quota_refusals_total", "quota" => quota.name()).increment(1);
    Err(ApiError::rate_limited((window_ends_at - now).max(Duration::SECOND).unsigned_abs()))
}

/// Gives one back: the attempt turned out to be the owner's.
///
/// # Errors
/// When the database is away.
pub async fn give_back(state: &State, quota: Quota, subject: &[u8]) -> Result<(), ApiError> {
    Ok(store::uncount(&state.pool, quota.name(), subject).await?)
}
