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
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};

/// The closed list of shared quotas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// Failed sign-ins for one account from one network, by an unknown device.
    LoginFromAddress,
    /// Failed sign-ins for one account from everywhere, by unknown devices.
    LoginToAccount,
    /// Failed sign-ins for one account from one known device.
    LoginFromDevice,
    /// Failed sign-ins from one network for all accounts, by unknown devices: one password tried on many.
    LoginFromNetwork,
    /// Wrong passwords for one account since the last right one. Only counted; `api/login.rs` decides what follows.
    LoginFailures,
    /// Wrong passwords of a signed-in person.
    Reauthentication,
    /// Letters that strangers may cause to one mailbox.
    Letters,
    /// Letters that strangers in one network may cause, to anybody.
    LettersFromNetwork,
    /// The time between two of them.
    LetterCooldown,
    /// New passwords that are tried with one proof, or by one signed-in person: judging and hashing them is work.
    NewPasswords,
    /// Notices to the owner of one mailbox.
    Notices,
    /// Invitations of one person.
    Invitations,
}

impl Quota {
    fn name(self) -> &'static str {
        match self {
            Self::LoginFromAddress => "login_from_address",
            Self::LoginToAccount => "login_to_account",
            Self::LoginFromDevice => "login_from_device",
            Self::LoginFromNetwork => "login_from_network",
            Self::LoginFailures => "login_failures",
            Self::Reauthentication => "reauthentication",
            Self::Letters => "letters",
            Self::LettersFromNetwork => "letters_from_network",
            Self::LetterCooldown => "letter_cooldown",
            Self::NewPasswords => "new_passwords",
            Self::Notices => "notices",
            Self::Invitations => "invitations",
        }
    }

    fn window(self, quotas: &Quotas) -> Duration {
        match self {
            Self::LoginFromAddress
            | Self::LoginToAccount
            | Self::LoginFromDevice
            | Self::LoginFromNetwork
            | Self::NewPasswords
            | Self::Reauthentication => Duration::minutes(15),
            // "in a row" ends at some time, so that the counters do
            Self::LoginFailures => Duration::days(30),
            Self::Letters | Self::LettersFromNetwork | Self::Notices | Self::Invitations => Duration::hours(1),
            Self::LetterCooldown => quotas.letter_cooldown,
        }
    }

    fn limit(self, quotas: &Quotas) -> i32 {
        match self {
            Self::LoginFromAddress => quotas.login,
            Self::LoginToAccount => quotas.login_account,
            Self::LoginFromDevice => quotas.login_device,
            Self::LoginFromNetwork => quotas.login_network,
            Self::LoginFailures => i32::MAX,
            Self::Reauthentication => quotas.reauthentication,
            Self::Letters => quotas.letters,
            Self::LettersFromNetwork => quotas.letters_network,
            Self::LetterCooldown => 1,
            Self::NewPasswords => quotas.new_passwords,
            Self::Notices => quotas.notices,
            Self::Invitations => quotas.invitations,
        }
    }
}

/// A quota of somebody.
#[derive(Debug, Clone, Copy)]
pub struct Count {
    /// Which quota.
    pub quota: Quota,
    /// For whom: a keyed digest, so that the table tells nobody who was asked for.
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
}

/// Counts first and decides then, by one statement for all of them: parallel calls cannot get past a limit. Returns how much is
/// used of each. A refused attempt counts for what refused it only: whoever is over their own limit must not use up somebody
/// else's. So what is the caller's own is spent first, in a call of its own, and what is the victim's after it.
///
/// # Errors
/// 429 with the time until the window ends; 503 when the database is away, because nobody may guess unobserved.
pub async fn spend(state: &State, counts: &[Count]) -> Result<Vec<i32>, ApiError> {
    let (now, quotas) = (state.clock.now(), &state.settings.quotas);
    let counted = store::count(&state.pool, &rows(counts), &ends(counts, quotas, now), now).await?;
    let row_of = |count: &Count| counted.iter().find(|row| row.quota == count.quota.name());
    let is_over = |count: &Count| row_of(count).is_none_or(|row| row.used > count.quota.limit(quotas));
    let Some(refused) = counts.iter().find(|count| is_over(count)) else {
        return Ok(counts.iter().filter_map(row_of).map(|row| row.used).collect());
    };
    let others: Vec<Count> = counts.iter().copied().filter(|count| !is_over(count)).collect();
    give_back(state, &others).await?;
    metrics::counter!("portcullis_quota_refusals_total", "quota" => refused.quota.name()).increment(1);
    let wait = row_of(refused).map_or(Duration::SECOND, |row| (row.window_ends_at - now).max(Duration::SECOND));
    Err(ApiError::rate_limited(wait.unsigned_abs()))
}

/// Gives one back of each: the attempt turned out to be the owner's.
///
/// # Errors
/// When the database is away.
pub async fn give_back(state: &State, counts: &[Count]) -> Result<(), ApiError> {
    Ok(store::uncount(&state.pool, &rows(counts)).await?)
}

fn rows(counts: &[Count]) -> store::Rows {
    counts.iter().map(|count| (count.quota.name().to_owned(), count.subject.to_vec())).unzip()
}

fn ends(counts: &[Count], quotas: &Quotas, now: OffsetDateTime) -> Vec<OffsetDateTime> {
    counts.iter().map(|count| now + count.quota.window(quotas)).collect()
}

/// Forgets what was counted: the row of failures ended with a success.
///
/// # Errors
/// When the database is away.
pub async fn forget(connection: &mut PgConnection, count: Count) -> Result<(), sqlx::Error> {
    store::forget(connection, count.quota.name(), &count.subject).await
}
