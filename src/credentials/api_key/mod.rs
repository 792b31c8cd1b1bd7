//! API keys for machines: `pc_<env>_<id>_<secret><checksum>`. The form lets secret scanners find one that was leaked, and refuses what was
//! mistyped, cut off or made for another environment before anything is asked of the database. Of a key only a keyed digest is kept, so that
//! neither a dump nor a written row is one; the digest covers the whole key, the environment too.
//!
//! A key speaks for an account within its scopes, until its end, from its networks. It is looked up with each call, so what is revoked is
//! worth nothing on every node at once. Scopes are names here; what they are worth is `access`'s and the guards' business.
//! Practices 9.rotate, 9.per-environment, 9.least-privilege, 2.no-plaintext.
//! Attacks: `tests/suite/attacks/s09_secrets/`, `tests/suite/attacks/s01_authorization/key_scope_escalation.rs`.

pub mod store;
mod text;

pub use text::{ApiKey, Realm};

use crate::platform::{
    crypto,
    keyring::{Keyring, Purpose},
    marks::Marks,
};
use ipnet::IpNet;
use sqlx::{PgConnection, PgPool};
use std::{fmt, net::IpAddr, str::FromStr};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Most live keys of one account.
pub const MAX_KEYS: i64 = 50;

/// Most networks of one key.
pub const MAX_NETWORKS: usize = 20;

/// Longest time for which a key goes on beside its successor.
pub const LONGEST_OVERLAP: Duration = Duration::days(7);

/// Marks of use are written at most this often, so that an ordinary call writes nothing.
const USED_GRANULARITY: Duration = Duration::MINUTE;

/// Why a key is refused: for operators; its caller is told no more than that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Mistyped, cut off, or made up: its checksum is wrong.
    Malformed,
    /// Of another environment.
    Environment,
    /// There is no such key, or not any more, or its secret is another.
    Unknown,
    /// A good key that comes from outside its networks: it may have been leaked.
    Network,
}

impl Refusal {
    /// For the metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Environment => "environment",
            Self::Unknown => "unknown",
            Self::Network => "network",
        }
    }
}

/// A network that a key may be used from, in CIDR notation: `203.0.113.0/24`, no bits set behind the prefix (they would be somebody's slip).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let network: IpNet = text.parse().map_err(|_| "is no network like 203.0.113.0/24")?;
        if matches!(network, IpNet::V6(mapped) if mapped.prefix_len() >= 96 && mapped.addr().to_ipv4_mapped().is_some()) {
            return Err("is an IPv4 network written as one of IPv6");
        }
        if network.trunc() == network { Ok(Self(network)) } else { Err("has bits set behind the prefix") }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A key that is good, and whose.
pub struct Verified {
    /// The account that it speaks for.
    pub account: Uuid,
    /// Names of the permissions that it was made for.
    pub scopes: Vec<String>,
}

/// Looks a key up: one statement, one MAC and one comparison in constant time, whether there is such a key or not.
///
/// # Errors
/// When the database is away.
pub async fn verify(
    pool: &PgPool,
    keyring: &Keyring,
    used: &UsedKeys,
    (sent, from): (&ApiKey, IpAddr),
    now: OffsetDateTime,
) -> Result<Result<Verified, Refusal>, sqlx::Error> {
    let found = store::find_live(pool, sent.id(), &from.to_string(), now).await?;
    let own = found.as_ref().and_then(|found| keyring.version(Purpose::ApiKey, found.key_version));
    let is_known = own.is_some();
    let digest = sent.digest(own.unwrap_or_else(|| keyring.active(Purpose::ApiKey).1).expose());
    let is_equal = crypto::equal(&digest, found.as_ref().map_or(&[0; 32], |found| &found.digest));
    let Some(found) = found.filter(|_| is_known && is_equal) else { return Ok(Err(Refusal::Unknown)) };
    if !found.is_from_here {
        return Ok(Err(Refusal::Network));
    }
    if found.last_used_at.is_none_or(|last| now - last >= USED_GRANULARITY) {
        used.0.mark(sent.id(), now);
    }
    Ok(Ok(Verified { account: found.account, scopes: found.scopes }))
}

/// Marks of use that are not written yet.
#[derive(Clone, Default)]
pub struct UsedKeys(Marks);

impl UsedKeys {
    /// Writes all marks. Returns how many keys were marked; after a failure the marks wait for the next round.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn write(&self, pool: &PgPool) -> Result<usize, sqlx::Error> {
        self.0.write(|keys, times| async move { store::mark_used(pool, &keys, &times).await }).await
    }
}

/// What a key is made for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What its owner calls it.
    pub name: String,
    /// Names of permissions.
    pub scopes: Vec<String>,
    /// From where it may be used; `None`: from anywhere.
    pub networks: Option<Vec<String>>,
    /// It ends at this time.
    pub expires_at: OffsetDateTime,
}

/// Makes a key of an account. The caller holds the account's lock and has looked at what it may give. `None`: the account has [`MAX_KEYS`].
///
/// # Errors
/// When the database is away.
pub async fn make(
    connection: &mut PgConnection,
    keyring: &Keyring,
    realm: Realm,
    (owner, maker): (Uuid, Uuid),
    wanted: &Wanted,
    now: OffsetDateTime,
) -> Result<Option<ApiKey>, sqlx::Error> {
    if store::count_live(connection, owner, now).await? >= MAX_KEYS {
        return Ok(None);
    }
    let key = ApiKey::generate(realm, crypto::uuid_v7(now));
    let (version, secret) = keyring.making_row(Purpose::ApiKey)?;
    store::insert(connection, (key.id(), &key.digest(secret.expose()), version), (owner, maker), wanted, now).await?;
    Ok(Some(key))
}

/// Lets a key go on for the overlap beside the one that takes over; where that is zero it ends now.
///
/// # Errors
/// When the database is away.
pub async fn replace(
    connection: &mut PgConnection,
    owner: Uuid,
    (old, successor): (Uuid, Uuid),
    overlap: Duration,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    store::set_successor(connection, owner, (old, successor), now + overlap).await?;
    if overlap.is_zero() {
        store::revoke_own(connection, owner, old, now).await?;
    }
    Ok(())
}
