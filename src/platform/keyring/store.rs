//! The SQL of the keyring, and the changes that keep it whole: there is always one active key a purpose, and a next one where keys
//! rotate. Each change is one transaction under a lock; a trigger tells all nodes.

use crate::platform::{
    crypto,
    keyring::{
        Entry, KeyBytes, KeyEncryption, KeyState, Keyring, KeyringError, Keys, Material, PUBLISHED_AHEAD, Purpose,
        signing::{Algorithm, SigningKey},
    },
};
use sqlx::{PgConnection, PgExecutor, PgPool};
use std::sync::Arc;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

/// Changes of the keyring happen one after the other: this number is their advisory lock, held to the end of the transaction.
const KEYRING_LOCK: i64 = 0x706f_7274_6b65_7973;

/// A key of this purpose, ready to be stored.
struct Made {
    purpose: Purpose,
    algorithm: Option<Algorithm>,
    secret: Zeroizing<Vec<u8>>,
}

impl Made {
    /// Off the server threads: RSA keys take their time.
    async fn new(purpose: Purpose, algorithm: Algorithm) -> Result<Self, KeyringError> {
        if purpose != Purpose::TokenSigning {
            return Ok(Self { purpose, algorithm: None, secret: Zeroizing::new(crypto::random::<32>().to_vec()) });
        }
        let made = tokio::task::spawn_blocking(move || algorithm.generate()).await.map_err(|_| sqlx::Error::WorkerCrashed)?;
        Ok(Self { purpose, algorithm: Some(algorithm), secret: made? })
    }

    async fn insert(
        &self,
        connection: &mut PgConnection,
        sealing: &KeyEncryption,
        version: i32,
        state: &str,
        now: OffsetDateTime,
    ) -> Result<(), KeyringError> {
        let sealed = sealing.seal(self.purpose.name(), version, &self.secret)?;
        sqlx::query!(
            "INSERT INTO keyring (purpose, version, state, algorithm, sealed, created_at, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $6)
             ON CONFLICT DO NOTHING",
            self.purpose.name(),
            version,
            state,
            self.algorithm.map(Algorithm::name),
            sealed,
            now
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// First keys for purposes that have none, and the next one where there is none: keys of before did not all rotate.
pub(super) async fn make_missing(
    connection: &mut PgConnection,
    sealing: &KeyEncryption,
    algorithm: Algorithm,
    now: OffsetDateTime,
) -> Result<(), KeyringError> {
    let known = sqlx::query!(r#"SELECT purpose, max(version) AS "newest!", bool_or(state = 'next') AS "has_next!" FROM keyring GROUP BY purpose"#);
    let known = known.fetch_all(&mut *connection).await?;
    for purpose in Purpose::ALL.iter().copied() {
        let own = known.iter().find(|known| known.purpose == purpose.name());
        if own.is_none() {
            Made::new(purpose, algorithm).await?.insert(&mut *connection, sealing, 1, "active", now).await?;
        }
        if own.is_none_or(|own| !own.has_next) {
            let version = own.map_or(1, |own| own.newest) + 1;
            Made::new(purpose, algorithm).await?.insert(&mut *connection, sealing, version, "next", now).await?;
        }
    }
    Ok(())
}

/// A key as it is kept.
struct Stored {
    purpose: String,
    version: i32,
    state: String,
    algorithm: Option<String>,
    sealed: Vec<u8>,
    accepted_until: Option<OffsetDateTime>,
}

async fn counting(executor: impl PgExecutor<'_>) -> Result<Vec<Stored>, sqlx::Error> {
    sqlx::query_as!(Stored, "SELECT purpose, version, state, algorithm, sealed, accepted_until FROM keyring WHERE state <> 'revoked'")
        .fetch_all(executor)
        .await
}

/// All keys that count. With the keys of `before`, a key that does not open is the one in memory, or is left out; without, it is an error.
pub(super) async fn read(pool: &PgPool, sealing: &KeyEncryption, before: Option<&Keys>) -> Result<Keys, KeyringError> {
    let mut keys = Keys::default();
    for row in counting(pool).await? {
        // a purpose of a newer binary, seen while it rolls out
        let Some(purpose) = Purpose::named(&row.purpose) else { continue };
        let state = match row.state.as_str() {
            "next" => KeyState::Next,
            "active" => KeyState::Active,
            _ => KeyState::Retired(row.accepted_until),
        };
        let wrong = || KeyringError::WrongKeyEncryptionKey { purpose: purpose.name(), version: row.version };
        let material = match (sealing.open(&row.purpose, row.version, &row.sealed), before) {
            (Ok((_, secret)), _) => match row.algorithm.as_deref().and_then(Algorithm::named) {
                Some(algorithm) => Material::Signing(Arc::new(SigningKey::from_der(algorithm, &secret)?)),
                None => Material::Secret(KeyBytes(secret.as_slice().try_into().map_err(|_| wrong())?)),
            },
            (Err(_), None) => return Err(wrong()),
            (Err(_), Some(before)) => match before.all.get(&(purpose, row.version)) {
                Some(known) => known.material.clone(),
                None => {
                    tracing::error!(error = %wrong(), "this node goes on without a key that others have: is it still without their key-encryption key?");
                    continue;
                }
            },
        };
        keys.all.insert((purpose, row.version), Entry { state, material });
    }
    keys.go_on_with(before.unwrap_or(&Keys::default()));
    Ok(keys)
}

/// A key as operators see it.
pub struct Listed {
    /// What it is for.
    pub purpose: String,
    /// Which one of them.
    pub version: i32,
    /// `next`, `active`, `retired` or `revoked`.
    pub state: String,
    /// Revoked because nothing hung on it any more.
    pub ended: bool,
    /// What it signs with.
    pub algorithm: Option<String>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// Since when it is in this state.
    pub changed_at: OffsetDateTime,
    /// What it made is accepted until then.
    pub accepted_until: Option<OffsetDateTime>,
}

/// All keys there ever were.
///
/// # Errors
/// When the database is away.
pub async fn list(connection: &mut PgConnection) -> Result<Vec<Listed>, sqlx::Error> {
    sqlx::query_as!(
        Listed,
        "SELECT purpose, version, state, ended, algorithm, created_at, changed_at, accepted_until FROM keyring ORDER BY purpose, version"
    )
    .fetch_all(connection)
    .await
}

/// Waits for its turn to change the keyring, until the end of the transaction.
pub(super) async fn lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!(r#"SELECT pg_advisory_xact_lock($1) IS NULL AS "locked""#, KEYRING_LOCK).fetch_one(connection).await.map(drop)
}

/// Refuses changes by a node that does not open every key that counts.
///
/// # Errors
/// [`KeyringError::LeftBehind`], or the database's.
pub async fn ensure_opens(connection: &mut PgConnection, sealing: &KeyEncryption) -> Result<(), KeyringError> {
    for row in counting(connection).await? {
        if sealing.open(&row.purpose, row.version, &row.sealed).is_err() {
            return Err(KeyringError::LeftBehind { purpose: row.purpose, version: row.version });
        }
    }
    Ok(())
}

/// Under the lock, so that the keyring does not move to another key-encryption key between the look and the change.
async fn lock_and_list(connection: &mut PgConnection, sealing: &KeyEncryption, purpose: Purpose) -> Result<Vec<Listed>, KeyringError> {
    lock(connection).await?;
    ensure_opens(connection, sealing).await?;
    Ok(list(connection).await?.into_iter().filter(|key| key.purpose == purpose.name()).collect())
}

/// The key that is next becomes active, the active one is retired as its purpose says, and a new next one is made. With `is_urgent` also
/// when others may not know the next one yet.
///
/// # Errors
/// [`KeyringError`]; the caller rolls back.
pub async fn rotate(
    connection: &mut PgConnection,
    keyring: &Keyring,
    purpose: Purpose,
    algorithm: Algorithm,
    is_urgent: bool,
    now: OffsetDateTime,
) -> Result<(), KeyringError> {
    let made = Made::new(purpose, algorithm).await?;
    let keys = lock_and_list(connection, keyring.key_encryption(), purpose).await?;
    let next = keys.iter().find(|key| key.state == "next").ok_or(KeyringError::NoActiveKey(purpose.name()))?;
    let ready = next.created_at + PUBLISHED_AHEAD;
    if !is_urgent && ready > now {
        return Err(KeyringError::PublishedTooLately(ready));
    }
    sqlx::query!(
        "UPDATE keyring SET state = 'retired', changed_at = $2, accepted_until = $3 WHERE purpose = $1 AND state = 'active'",
        purpose.name(),
        now,
        purpose.rotation().overlap().map(|overlap| now + overlap)
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("UPDATE keyring SET state = 'active', changed_at = $2 WHERE purpose = $1 AND state = 'next'", purpose.name(), now)
        .execute(&mut *connection)
        .await?;
    made.insert(connection, keyring.key_encryption(), newest(&keys) + 1, "next", now).await
}

/// Ends the overlap, where there is one: what retired keys made is accepted no longer. Returns how many keys that was.
///
/// # Errors
/// When the database is away.
pub async fn retire(connection: &mut PgConnection, purpose: Purpose, now: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE keyring SET accepted_until = $2, changed_at = $2
         WHERE purpose = $1 AND state = 'retired' AND (accepted_until IS NULL OR accepted_until > $2)",
        purpose.name(),
        now
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Somebody else may have the keys: all there are become worthless at once and are destroyed, and fresh ones take their place. What they
/// leave behind is taken away by [`super::rows::clear_revoked`].
///
/// # Errors
/// [`KeyringError`]; the caller rolls back.
pub async fn revoke(
    connection: &mut PgConnection,
    keyring: &Keyring,
    purpose: Purpose,
    algorithm: Algorithm,
    now: OffsetDateTime,
) -> Result<(), KeyringError> {
    let (active, next) = (Made::new(purpose, algorithm).await?, Made::new(purpose, algorithm).await?);
    let last = newest(&lock_and_list(connection, keyring.key_encryption(), purpose).await?);
    sqlx::query!(
        "UPDATE keyring SET state = 'revoked', changed_at = $2, accepted_until = NULL, sealed = '' WHERE purpose = $1 AND state <> 'revoked'",
        purpose.name(),
        now
    )
    .execute(&mut *connection)
    .await?;
    active.insert(&mut *connection, keyring.key_encryption(), last + 1, "active", now).await?;
    next.insert(connection, keyring.key_encryption(), last + 2, "next", now).await
}

/// When a retired key on which nothing hangs is to end, or that it is not, because something does.
pub(super) async fn set_end(connection: &mut PgConnection, purpose: Purpose, version: i32, end: Option<OffsetDateTime>) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE keyring SET accepted_until = $3 WHERE purpose = $1 AND version = $2 AND state = 'retired'", purpose.name(), version, end)
        .execute(connection)
        .await
        .map(drop)
}

/// Ends and destroys a retired key that is needed no longer.
pub(super) async fn end(connection: &mut PgConnection, purpose: Purpose, version: i32, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE keyring SET state = 'revoked', ended = true, changed_at = $3, accepted_until = NULL, sealed = ''
         WHERE purpose = $1 AND version = $2 AND state = 'retired'",
        purpose.name(),
        version,
        now
    )
    .execute(connection)
    .await
    .map(drop)
}

/// What the schedule asks for: another next key, because the settings name another algorithm, or a rotation. Returns whether anything
/// changed.
///
/// # Errors
/// [`KeyringError`]; the caller rolls back.
pub async fn keep_fresh(
    connection: &mut PgConnection,
    keyring: &Keyring,
    purpose: Purpose,
    algorithm: Algorithm,
    longest: Duration,
    now: OffsetDateTime,
) -> Result<bool, KeyringError> {
    let keys = lock_and_list(connection, keyring.key_encryption(), purpose).await?;
    let is_of_another = |key: &Listed| key.algorithm.as_deref().is_some_and(|name| name != algorithm.name());
    let in_state = |state: &str| keys.iter().find(|key| key.state == state);
    let (Some(active), Some(next)) = (in_state("active"), in_state("next")) else { return Err(KeyringError::NoActiveKey(purpose.name())) };
    let is_published = next.created_at + PUBLISHED_AHEAD <= now;
    if is_of_another(next) {
        // not at once: nodes with different settings must not undo each other's keys all the time
        if !is_published {
            tracing::warn!(purpose = purpose.name(), "the next key is of another algorithm than the settings say: do all nodes have the same?");
            return Ok(false);
        }
        // nothing was ever made with it
        sqlx::query!("UPDATE keyring SET state = 'revoked', changed_at = $2, sealed = '' WHERE purpose = $1 AND state = 'next'", purpose.name(), now)
            .execute(&mut *connection)
            .await?;
        Made::new(purpose, algorithm).await?.insert(connection, keyring.key_encryption(), newest(&keys) + 1, "next", now).await?;
        return Ok(true);
    }
    let is_due = is_of_another(active) || active.changed_at + longest <= now;
    if !is_due || !is_published {
        return Ok(false);
    }
    rotate(connection, keyring, purpose, algorithm, false, now).await?;
    Ok(true)
}

fn newest(keys: &[Listed]) -> i32 {
    keys.iter().map(|key| key.version).max().unwrap_or_default()
}
