//! The SQL of exports.

use crate::accounts::{AccountId, export::Export};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Asks for an export, unless one was asked for since `not_since`. `false`: there was one. Two at once: one waits.
///
/// # Errors
/// When the database is away.
pub async fn request(connection: &mut PgConnection, owner: AccountId, export: &Export, not_since: OffsetDateTime) -> Result<bool, sqlx::Error> {
    sqlx::query!("SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE", owner.0).fetch_optional(&mut *connection).await?;
    let done = sqlx::query!(
        "INSERT INTO exports (id, user_id, requested_at, expires_at)
         SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT FROM exports WHERE user_id = $2 AND requested_at > $5)",
        export.id,
        owner.0,
        export.requested_at,
        export.expires_at,
        not_since
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The owner's newest export that can still be fetched, or is being made.
///
/// # Errors
/// When the database is away.
pub async fn newest_own(connection: &mut PgConnection, owner: AccountId, now: OffsetDateTime) -> Result<Option<Export>, sqlx::Error> {
    sqlx::query_as!(
        Export,
        r#"SELECT id, requested_at, expires_at, sealed IS NOT NULL AS "is_ready!" FROM exports
           WHERE user_id = $1 AND expires_at > $2 ORDER BY id DESC LIMIT 1"#,
        owner.0,
        now
    )
    .fetch_optional(connection)
    .await
}

/// The sealed contents of one of the owner's exports.
///
/// # Errors
/// When the database is away.
pub async fn contents_of_own(connection: &mut PgConnection, owner: AccountId, id: Uuid, now: OffsetDateTime) -> Result<Option<Vec<u8>>, sqlx::Error> {
    let sealed = sqlx::query_scalar!("SELECT sealed FROM exports WHERE id = $1 AND user_id = $2 AND expires_at > $3", id, owner.0, now)
        .fetch_optional(connection)
        .await?;
    Ok(sealed.flatten())
}

/// The next export, by id, that waits to be made; locked until the end of the transaction, and passed over where another node has it.
///
/// # Errors
/// When the database is away.
pub async fn next_pending(connection: &mut PgConnection, after: Uuid) -> Result<Option<(Uuid, AccountId)>, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT id, user_id AS "owner: AccountId" FROM exports WHERE sealed IS NULL AND id > $1 ORDER BY id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED"#,
        after
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| (row.id, row.owner)))
}

/// Stores the sealed contents.
///
/// # Errors
/// When the database is away.
pub async fn fill(connection: &mut PgConnection, id: Uuid, sealed: &[u8]) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE exports SET sealed = $2 WHERE id = $1", id, sealed).execute(connection).await.map(drop)
}

/// Forgets exports whose time is over, at most `batch`. Returns how many.
///
/// # Errors
/// When the database is away.
pub async fn purge(connection: &mut PgConnection, now: OffsetDateTime, batch: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM exports WHERE id IN (SELECT id FROM exports WHERE expires_at <= $1 LIMIT $2)", now, batch)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}
