//! The SQL of the shared counters: fixed windows, one row a quota and subject.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

pub(super) async fn count(
    pool: &PgPool,
    quota: &str,
    subject: &[u8],
    now: OffsetDateTime,
    window_ends_at: OffsetDateTime,
) -> Result<(i32, OffsetDateTime), sqlx::Error> {
    // a flood must not make the counter overflow
    let row = sqlx::query!(
        "INSERT INTO quota_counters AS c (quota, subject, used, window_ends_at) VALUES ($1, $2, 1, $4)
         ON CONFLICT (quota, subject) DO UPDATE SET
             used = CASE WHEN c.window_ends_at <= $3 THEN 1 ELSE least(c.used, 1000000) + 1 END,
             window_ends_at = CASE WHEN c.window_ends_at <= $3 THEN $4 ELSE c.window_ends_at END
         RETURNING used, window_ends_at",
        quota,
        subject,
        now,
        window_ends_at
    )
    .fetch_one(pool)
    .await?;
    Ok((row.used, row.window_ends_at))
}

pub(super) async fn uncount(pool: &PgPool, quota: &str, subject: &[u8]) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE quota_counters SET used = used - 1 WHERE quota = $1 AND subject = $2 AND used > 0", quota, subject)
        .execute(pool)
        .await
        .map(drop)
}

/// Forgets windows that are over. Returns how many.
///
/// # Errors
/// When the database is away.
pub async fn purge(connection: &mut PgConnection, now: OffsetDateTime) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query!("DELETE FROM quota_counters WHERE window_ends_at <= $1", now).execute(connection).await?.rows_affected())
}
