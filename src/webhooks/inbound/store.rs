//! The SQL of the inbox.

use sqlx::{PgConnection, PgPool};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// A message to be stored.
pub(super) struct Row<'r> {
    pub id: Uuid,
    pub source: &'r str,
    pub nonce: &'r str,
    pub digest: &'r [u8; 32],
    pub for_good: bool,
    pub kind: Option<&'r str>,
    pub sealed: &'r [u8],
    pub key_version: i32,
}

/// `false`: its nonce was spent. One that is being spent is waited for.
pub(super) async fn insert(connection: &mut PgConnection, row: &Row<'_>, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "INSERT INTO webhook_inbox (id, source, nonce, digest, for_good, kind, sealed, key_version, received_at, due_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) ON CONFLICT ON CONSTRAINT webhook_inbox_once DO NOTHING",
        row.id,
        row.source,
        row.nonce,
        row.digest.as_slice(),
        row.for_good,
        row.kind,
        row.sealed,
        row.key_version,
        now
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Which message spent a nonce, and its digest.
pub(super) async fn spent(connection: &mut PgConnection, source: &str, nonce: &str) -> Result<Option<(Uuid, Vec<u8>)>, sqlx::Error> {
    let row = sqlx::query!("SELECT id, digest FROM webhook_inbox WHERE source = $1 AND nonce = $2", source, nonce).fetch_optional(connection).await?;
    Ok(row.map(|row| (row.id, row.digest)))
}

/// Has a message that was given up wait as if it were new. `false`: it was not, or somebody else has.
pub(super) async fn revive(
    connection: &mut PgConnection,
    id: Uuid,
    (key_version, sealed): (i32, &[u8]),
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE webhook_inbox SET state = 'waiting', attempts = 0, due_at = $2, finished_at = NULL, sealed = $3, key_version = $4
         WHERE id = $1 AND state = 'dead'",
        id,
        now,
        sealed,
        key_version
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A message whose turn it is.
pub struct Due {
    /// Its id.
    pub id: Uuid,
    /// Who told it.
    pub source: String,
    /// What kind of event it is.
    pub kind: Option<String>,
    /// What it says, sealed.
    pub sealed: Option<Vec<u8>>,
    /// Under which key.
    pub key_version: Option<i32>,
    /// How often it was tried, this time included.
    pub attempts: i32,
}

/// Takes messages of these sources that are due, for as long as a lease: whoever dies with one leaves it to the others, and the try is
/// counted.
///
/// # Errors
/// When the database is away.
pub async fn claim(pool: &PgPool, sources: &[String], now: OffsetDateTime, lease: Duration, batch: i64) -> Result<Vec<Due>, sqlx::Error> {
    sqlx::query_as!(
        Due,
        "UPDATE webhook_inbox SET attempts = attempts + 1, due_at = $3
         WHERE id IN (SELECT id FROM webhook_inbox WHERE state = 'waiting' AND due_at <= $2 AND source = ANY($1)
                      ORDER BY due_at, id LIMIT $4 FOR UPDATE SKIP LOCKED)
         RETURNING id, source, kind, sealed, key_version, attempts",
        sources,
        now,
        now + lease,
        batch
    )
    .fetch_all(pool)
    .await
}

/// Marks a message as dealt with, as part of the effect's transaction. `false`: somebody else has.
///
/// # Errors
/// When the database is away.
pub async fn finish(connection: &mut PgConnection, id: Uuid, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("UPDATE webhook_inbox SET state = 'processed', finished_at = $2 WHERE id = $1 AND state = 'waiting'", id, now)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Tries a message later.
///
/// # Errors
/// When the database is away.
pub async fn postpone(connection: &mut PgConnection, id: Uuid, due_at: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE webhook_inbox SET due_at = $2 WHERE id = $1 AND state = 'waiting'", id, due_at).execute(connection).await.map(drop)
}

/// Gives a message up. `false`: somebody else has dealt with it.
///
/// # Errors
/// When the database is away.
pub async fn bury(connection: &mut PgConnection, id: Uuid, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("UPDATE webhook_inbox SET state = 'dead', finished_at = $2 WHERE id = $1 AND state = 'waiting'", id, now)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// A message as administrators see it.
pub struct Listed {
    /// Its id.
    pub id: Uuid,
    /// Who told it.
    pub source: String,
    /// What it spent: its own id, or for GitHub's a digest.
    pub nonce: String,
    /// What kind of event it is.
    pub kind: Option<String>,
    /// `waiting`, `processed` or `dead`.
    pub state: String,
    /// How often it was tried.
    pub attempts: i32,
    /// When it came.
    pub received_at: OffsetDateTime,
    /// When it was dealt with, or given up.
    pub finished_at: Option<OffsetDateTime>,
}

/// Messages, the newest first.
///
/// # Errors
/// When the database is away.
pub async fn list(connection: &mut PgConnection, before: Option<Uuid>, limit: i64) -> Result<Vec<Listed>, sqlx::Error> {
    sqlx::query_as!(
        Listed,
        "SELECT id, source, nonce, kind, state, attempts, received_at, finished_at FROM webhook_inbox
         WHERE $1::uuid IS NULL OR id < $1 ORDER BY id DESC LIMIT $2",
        before,
        limit
    )
    .fetch_all(connection)
    .await
}

/// What a message said, under a key of this version.
pub type Sealed = (i32, Vec<u8>);

/// One message, and what it said as long as that is kept.
///
/// # Errors
/// When the database is away.
pub async fn find(connection: &mut PgConnection, id: Uuid) -> Result<Option<(Listed, Option<Sealed>)>, sqlx::Error> {
    let row = sqlx::query!(
        "SELECT id, source, nonce, kind, state, attempts, received_at, finished_at, sealed, key_version FROM webhook_inbox WHERE id = $1",
        id
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| {
        let sealed = row.key_version.zip(row.sealed);
        let listed = Listed {
            id: row.id,
            source: row.source,
            nonce: row.nonce,
            kind: row.kind,
            state: row.state,
            attempts: row.attempts,
            received_at: row.received_at,
            finished_at: row.finished_at,
        };
        (listed, sealed)
    }))
}

/// What is in the inbox.
pub struct Backlog {
    /// Messages that wait.
    pub waiting: i64,
    /// Messages that were given up.
    pub dead: i64,
    /// When the oldest one that waits came.
    pub oldest: Option<OffsetDateTime>,
}

/// How many messages wait, and how many are dead.
///
/// # Errors
/// When the database is away.
pub async fn backlog(connection: &mut PgConnection) -> Result<Backlog, sqlx::Error> {
    sqlx::query_as!(
        Backlog,
        r#"SELECT count(*) FILTER (WHERE state = 'waiting') AS "waiting!", count(*) FILTER (WHERE state = 'dead') AS "dead!",
                  min(received_at) FILTER (WHERE state = 'waiting') AS "oldest"
           FROM webhook_inbox WHERE state IN ('waiting', 'dead')"#
    )
    .fetch_one(connection)
    .await
}

/// Forgets what messages said that were dealt with before `before`, and all of those that have a time of their own, at most `batch`.
/// Returns how many.
///
/// # Errors
/// When the database is away.
pub async fn purge(connection: &mut PgConnection, before: OffsetDateTime, batch: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query_scalar!(
        r#"WITH old AS (SELECT id, for_good FROM webhook_inbox WHERE finished_at < $1 AND (sealed IS NOT NULL OR NOT for_good) LIMIT $2),
                wiped AS (UPDATE webhook_inbox w SET sealed = NULL, key_version = NULL FROM old WHERE w.id = old.id AND old.for_good RETURNING w.id),
                gone AS (DELETE FROM webhook_inbox w USING old WHERE w.id = old.id AND NOT old.for_good RETURNING w.id)
           SELECT (SELECT count(*) FROM wiped) + (SELECT count(*) FROM gone) AS "count!""#,
        before,
        batch
    )
    .fetch_one(connection)
    .await?;
    Ok(done.unsigned_abs())
}
