//! The SQL of what is begun and not finished.

use crate::credentials::challenge::{Begin, Purpose};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

pub(super) async fn insert(
    connection: &mut PgConnection,
    id: Uuid,
    token_digest: &[u8; 32],
    begin: Begin,
    (version, sealed): (i32, Vec<u8>),
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO challenges (id, purpose, token_digest, user_id, session_id, state_sealed, state_key_version, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        id,
        begin.purpose.name(),
        token_digest,
        begin.account,
        begin.session,
        sealed,
        version,
        now,
        now + begin.lifetime
    )
    .execute(connection)
    .await
    .map(drop)
}

pub(super) struct Row {
    pub id: Uuid,
    pub account: Option<Uuid>,
    pub session: Option<Uuid>,
    pub sealed: Vec<u8>,
    pub version: i32,
}

pub(super) async fn find(
    connection: &mut PgConnection,
    token_digest: &[u8],
    purpose: Purpose,
    max_tries: i16,
    now: OffsetDateTime,
) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT id, user_id AS account, session_id AS session, state_sealed AS sealed, state_key_version AS version FROM challenges
         WHERE token_digest = $1 AND purpose = $2 AND tries < $3 AND used_at IS NULL AND expires_at > $4",
        token_digest,
        purpose.name(),
        max_tries,
        now
    )
    .fetch_optional(connection)
    .await
}

pub(super) async fn replace_state(connection: &mut PgConnection, id: Uuid, (version, sealed): (i32, Vec<u8>)) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE challenges SET state_sealed = $2, state_key_version = $3 WHERE id = $1 AND used_at IS NULL", id, sealed, version)
        .execute(connection)
        .await
        .map(drop)
}

pub(super) async fn count_try(connection: &mut PgConnection, id: Uuid, max_tries: i16, now: OffsetDateTime) -> Result<Option<i16>, sqlx::Error> {
    sqlx::query_scalar!(
        "UPDATE challenges SET tries = tries + 1 WHERE id = $1 AND tries < $2 AND used_at IS NULL AND expires_at > $3 RETURNING tries",
        id,
        max_tries,
        now
    )
    .fetch_optional(connection)
    .await
}

pub(super) async fn spend(connection: &mut PgConnection, id: Uuid, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done =
        sqlx::query!("UPDATE challenges SET used_at = $2 WHERE id = $1 AND used_at IS NULL AND expires_at > $2", id, now).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// Ends everything that an account has begun.
///
/// # Errors
/// When the database is away.
pub async fn end_all(connection: &mut PgConnection, account: Uuid, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE challenges SET used_at = $2 WHERE user_id = $1 AND used_at IS NULL", account, now).execute(connection).await.map(drop)
}

/// Forgets what ran out before `before`, at most `batch`. Returns how many.
///
/// # Errors
/// When the database is away.
pub async fn purge(connection: &mut PgConnection, before: OffsetDateTime, batch: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM challenges WHERE id IN (SELECT id FROM challenges WHERE expires_at < $1 LIMIT $2)", before, batch)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}
