//! Letters wait here, sealed, in the transaction that caused them, and are erased once sent: no lost letter after a crash, no
//! letter for work that was rolled back, and no link to read in a database dump (practice 2.no-plaintext).
//! Attacks: `tests/suite/attacks/s02_credentials/`; faults: `tests/suite/journeys/faults.rs`.

use crate::platform::{
    clock::Clock,
    crypto,
    db::StoreError,
    keyring::{Keyring, Purpose},
    mail::{Mail, Mailer},
    telemetry,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use sqlx::{PgConnection, PgPool};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// A claimed letter that was not sent within this time is up for grabs again: its sender has died.
const LEASE: Duration = Duration::minutes(2);

/// Letters claimed in one round: with [`AT_ONCE`] and 20 s of patience for a server, all of them end within the lease.
const BATCH: i64 = 20;

/// Letters sent at the same time.
const AT_ONCE: usize = 5;

/// Puts a letter into the outbox as part of the caller's transaction. After `until` it is not worth sending any more.
///
/// # Errors
/// [`StoreError`].
pub async fn enqueue(
    connection: &mut PgConnection,
    keyring: &Keyring,
    now: OffsetDateTime,
    mail: &Mail,
    until: Option<OffsetDateTime>,
) -> Result<(), StoreError> {
    let id = crypto::uuid_v7(now);
    let (version, sealed) = keyring.seal(Purpose::Outbox, id.as_bytes(), &serde_json::to_vec(mail)?)?;
    sqlx::query!(
        "INSERT INTO outbox (id, sealed, key_version, created_at, due_at, expires_at) VALUES ($1, $2, $3, $4, $4, $5)",
        id,
        sealed,
        version,
        now,
        until
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Sends what is due: claims a batch, sends each letter outside any transaction, erases it. A failure postpones the letter.
/// Several nodes share the work (`SKIP LOCKED`). Returns how many letters were claimed.
///
/// # Errors
/// When the database is away. Letters that could not be sent are no error: they stay.
pub async fn deliver_due(pool: &PgPool, keyring: &Keyring, mailer: &Mailer, clock: &Clock, attempts: i32) -> Result<usize, sqlx::Error> {
    let now = clock.now();
    let claimed = sqlx::query!(
        "UPDATE outbox SET attempts = attempts + 1, due_at = $2
         WHERE id IN (SELECT id FROM outbox WHERE due_at <= $1 AND dead_at IS NULL ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)
         RETURNING id, sealed, key_version, attempts, expires_at",
        now,
        now + LEASE,
        BATCH
    )
    .fetch_all(pool)
    .await?;
    let count = claimed.len();
    // a few at once: a server that hangs must not use the lease of the others up
    let rounds = stream::iter(claimed).map(|row| async move {
        let letter = Claimed { id: row.id, sealed: row.sealed, key_version: row.key_version, attempts: row.attempts };
        if row.expires_at.is_some_and(|end| end <= now) {
            return erase(pool, row.id, "expired").await;
        }
        deliver(pool, keyring, mailer, clock, letter, attempts).await
    });
    rounds.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    Ok(count)
}

struct Claimed {
    id: Uuid,
    sealed: Vec<u8>,
    key_version: i32,
    attempts: i32,
}

async fn deliver(pool: &PgPool, keyring: &Keyring, mailer: &Mailer, clock: &Clock, letter: Claimed, attempts: i32) -> Result<(), sqlx::Error> {
    let sent = match open(keyring, letter.id, letter.key_version, &letter.sealed) {
        Ok(mail) => mailer.send(&mail, letter.id).await,
        Err(error) => Err(error),
    };
    match sent {
        Ok(()) => erase(pool, letter.id, "sent").await,
        Err(error) => postpone(pool, clock.now(), letter.id, letter.attempts, attempts, &error).await,
    }
}

async fn erase(pool: &PgPool, id: Uuid, outcome: &'static str) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM outbox WHERE id = $1", id).execute(pool).await?;
    metrics::counter!("portcullis_letters_total", "outcome" => outcome).increment(1);
    Ok(())
}

/// Later, or after the last attempt never: then the letter stays, sealed, for an operator to look at.
async fn postpone(pool: &PgPool, now: OffsetDateTime, id: Uuid, tried: i32, attempts: i32, error: &anyhow::Error) -> Result<(), sqlx::Error> {
    let is_dead = tried >= attempts;
    let outcome = if is_dead { "dead" } else { "failed" };
    tracing::warn!(letter = %id, attempts = tried, error = telemetry::causes(error), outcome, "letter not sent");
    metrics::counter!("portcullis_letters_total", "outcome" => outcome).increment(1);
    let (due_at, dead_at) = (now + back_off(tried), is_dead.then_some(now));
    sqlx::query!("UPDATE outbox SET due_at = $2, dead_at = $3 WHERE id = $1", id, due_at, dead_at).execute(pool).await.map(drop)
}

/// What is in the outbox.
pub struct Backlog {
    /// Letters that wait.
    pub waiting: i64,
    /// Letters that are not tried again.
    pub dead: i64,
    /// When the oldest one that waits was written.
    pub oldest: Option<OffsetDateTime>,
}

/// How many letters wait, and how many are dead.
///
/// # Errors
/// When the database is away.
pub async fn backlog(connection: &mut PgConnection) -> Result<Backlog, sqlx::Error> {
    sqlx::query_as!(
        Backlog,
        r#"SELECT count(*) FILTER (WHERE dead_at IS NULL) AS "waiting!", count(*) FILTER (WHERE dead_at IS NOT NULL) AS "dead!",
                  min(created_at) FILTER (WHERE dead_at IS NULL) AS "oldest"
           FROM outbox"#
    )
    .fetch_one(connection)
    .await
}

/// Forgets letters that died before `before`, at most `batch`. Returns how many.
///
/// # Errors
/// When the database is away.
pub async fn purge(connection: &mut PgConnection, before: OffsetDateTime, batch: i64) -> Result<u64, sqlx::Error> {
    let done =
        sqlx::query!("DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE dead_at < $1 LIMIT $2)", before, batch).execute(connection).await?;
    Ok(done.rows_affected())
}

fn open(keyring: &Keyring, id: Uuid, version: i32, sealed: &[u8]) -> anyhow::Result<Mail> {
    let plain = keyring.open_sealed(Purpose::Outbox, version, id.as_bytes(), sealed)?;
    Ok(serde_json::from_slice(&plain)?)
}

/// How long to wait behind a try that failed, the first of which is 1: 10 s, 20 s, 40 s … up to one hour.
#[must_use]
pub fn back_off(attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts - 1).unwrap_or_default().min(9);
    (Duration::seconds(10) * 2_i32.pow(doublings)).min(Duration::hours(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_grows_to_an_hour_and_no_further() {
        assert_eq!(back_off(1), Duration::seconds(10));
        assert_eq!(back_off(2), Duration::seconds(20));
        assert_eq!(back_off(10_000), Duration::hours(1));
    }
}
