//! The SQL of endpoints. Practice 3.sql-injection.

use crate::webhooks::endpoint::{DisabledReason, Endpoint};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Makes one, unless there are as many as there may be. `false`: there are.
///
/// # Errors
/// When the database is away.
pub async fn insert(connection: &mut PgConnection, endpoint: &Endpoint, most: i64) -> Result<bool, sqlx::Error> {
    // one after the other, so that the number holds
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended('webhook_endpoints', 0))").execute(&mut *connection).await?;
    let done = sqlx::query!(
        "INSERT INTO webhook_endpoints (id, name, url, events, created_at, created_by)
         SELECT $1, $2, $3, $4, $5, $6 WHERE (SELECT count(*) FROM webhook_endpoints) < $7",
        endpoint.id,
        endpoint.name,
        endpoint.url,
        endpoint.events.as_deref(),
        endpoint.created_at,
        endpoint.created_by,
        most
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Endpoints, the newest first, older than `before`.
///
/// # Errors
/// When the database is away.
pub async fn list(connection: &mut PgConnection, before: Option<Uuid>, limit: i64) -> Result<Vec<Endpoint>, sqlx::Error> {
    sqlx::query_as!(
        Endpoint,
        "SELECT e.id, e.name, e.url, e.events, e.created_at, e.created_by, e.disabled_at, e.disabled_reason, e.failing_since, s.public_key
         FROM webhook_endpoints e JOIN webhook_secrets s ON s.endpoint_id = e.id AND s.ends_at IS NULL
         WHERE $1::uuid IS NULL OR e.id < $1 ORDER BY e.id DESC LIMIT $2",
        before,
        limit
    )
    .fetch_all(connection)
    .await
}

/// One endpoint.
///
/// # Errors
/// When the database is away.
pub async fn find(connection: &mut PgConnection, id: Uuid) -> Result<Option<Endpoint>, sqlx::Error> {
    sqlx::query_as!(
        Endpoint,
        "SELECT e.id, e.name, e.url, e.events, e.created_at, e.created_by, e.disabled_at, e.disabled_reason, e.failing_since, s.public_key
         FROM webhook_endpoints e JOIN webhook_secrets s ON s.endpoint_id = e.id AND s.ends_at IS NULL WHERE e.id = $1",
        id
    )
    .fetch_optional(connection)
    .await
}

/// The same, and nobody else changes it or gives it a delivery until the transaction ends.
///
/// # Errors
/// When the database is away.
pub async fn lock(connection: &mut PgConnection, id: Uuid) -> Result<Option<Endpoint>, sqlx::Error> {
    let is_there = sqlx::query!("SELECT id FROM webhook_endpoints WHERE id = $1 FOR NO KEY UPDATE", id).fetch_optional(&mut *connection).await?;
    // what was found before the lock may have changed
    if is_there.is_some() { find(connection, id).await } else { Ok(None) }
}

/// Writes what can be changed of one.
///
/// # Errors
/// When the database is away.
pub async fn update(connection: &mut PgConnection, endpoint: &Endpoint) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE webhook_endpoints SET name = $2, url = $3, events = $4, disabled_at = $5, disabled_reason = $6, failing_since = $7 WHERE id = $1",
        endpoint.id,
        endpoint.name,
        endpoint.url,
        endpoint.events.as_deref(),
        endpoint.disabled_at,
        endpoint.disabled_reason,
        endpoint.failing_since
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Deletes one, with its keys and deliveries.
///
/// # Errors
/// When the database is away.
pub async fn delete(connection: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM webhook_endpoints WHERE id = $1", id).execute(connection).await.map(drop)
}

/// Notes since when nothing arrives there, or that something does.
///
/// # Errors
/// When the database is away.
pub async fn set_failing(connection: &mut PgConnection, id: Uuid, since: Option<OffsetDateTime>) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE webhook_endpoints SET failing_since = $2 WHERE id = $1", id, since).execute(connection).await.map(drop)
}

/// Tells it nothing any more.
///
/// # Errors
/// When the database is away.
pub async fn disable(connection: &mut PgConnection, id: Uuid, reason: DisabledReason, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE webhook_endpoints SET disabled_at = $2, disabled_reason = $3 WHERE id = $1", id, now, reason.name())
        .execute(connection)
        .await
        .map(drop)
}

/// Keys as they are kept.
pub struct SealedKeys {
    /// What they are sealed to.
    pub id: Uuid,
    /// Both.
    pub sealed: Vec<u8>,
    /// By which key.
    pub key_version: i32,
}

/// Gives an endpoint its keys. Those that it had go on until `ends_at`, and those before them are gone.
///
/// # Errors
/// When the database is away.
pub async fn set_keys(
    connection: &mut PgConnection,
    endpoint: Uuid,
    keys: &SealedKeys,
    public_key: &str,
    (now, ends_at): (OffsetDateTime, OffsetDateTime),
) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM webhook_secrets WHERE endpoint_id = $1 AND ends_at IS NOT NULL", endpoint).execute(&mut *connection).await?;
    sqlx::query!("UPDATE webhook_secrets SET ends_at = $2 WHERE endpoint_id = $1", endpoint, ends_at).execute(&mut *connection).await?;
    sqlx::query!(
        "INSERT INTO webhook_secrets (id, endpoint_id, sealed, key_version, public_key, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
        keys.id,
        endpoint,
        keys.sealed,
        keys.key_version,
        public_key,
        now
    )
    .execute(connection)
    .await
    .map(drop)
}

/// The keys that sign for an endpoint now, the newest first.
///
/// # Errors
/// When the database is away.
pub async fn keys_of(connection: &mut PgConnection, endpoint: Uuid, now: OffsetDateTime) -> Result<Vec<SealedKeys>, sqlx::Error> {
    sqlx::query_as!(
        SealedKeys,
        "SELECT id, sealed, key_version FROM webhook_secrets WHERE endpoint_id = $1 AND (ends_at IS NULL OR ends_at > $2)
         ORDER BY ends_at DESC NULLS FIRST",
        endpoint,
        now
    )
    .fetch_all(connection)
    .await
}

/// Forgets keys that ended before this, at most `batch`. Returns how many.
///
/// # Errors
/// When the database is away.
pub async fn purge_keys(connection: &mut PgConnection, before: OffsetDateTime, batch: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM webhook_secrets WHERE id IN (SELECT id FROM webhook_secrets WHERE ends_at <= $1 LIMIT $2)", before, batch)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}
