//! The SQL of the shared counters: fixed windows, one row a quota and subject.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

pub(super) struct Counted {
    pub quota: String,
    pub used: i32,
    pub window_ends_at: OffsetDateTime,
}

/// Quotas and subjects, side by side.
pub(super) type Rows = (Vec<String>, Vec<Vec<u8>>);

pub(super) async fn count(
    pool: &PgPool,
    (quotas, subjects): &Rows,
    ends: &[OffsetDateTime],
    now: OffsetDateTime,
) -> Result<Vec<Counted>, sqlx::Error> {
    // rows are locked in one order, so that two calls cannot wait for each other; a flood must not make the counter overflow
    sqlx::query_as!(
        Counted,
        "INSERT INTO quota_counters AS c (quota, subject, used, window_ends_at)
         SELECT n.quota, n.subject, 1, n.ends FROM unnest($1::text[], $2::bytea[], $3::timestamptz[]) n (quota, subject, ends)
         ORDER BY n.quota, n.subject
         ON CONFLICT (quota, subject) DO UPDATE SET
             used = CASE WHEN c.window_ends_at <= $4 THEN 1 ELSE least(c.used, 1000000) + 1 END,
             window_ends_at = CASE WHEN c.window_ends_at <= $4 THEN excluded.window_ends_at ELSE c.window_ends_at END
         RETURNING quota, used, window_ends_at",
        quotas,
        subjects,
        ends,
        now
    )
    .fetch_all(pool)
    .await
}

pub(super) async fn uncount(pool: &PgPool, (quotas, subjects): &Rows) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "WITH mine AS (
             SELECT c.quota, c.subject FROM quota_counters c JOIN unnest($1::text[], $2::bytea[]) n (quota, subject) USING (quota, subject)
             ORDER BY c.quota, c.subject FOR UPDATE OF c
         )
         UPDATE quota_counters c SET used = c.used - 1 FROM mine WHERE c.quota = mine.quota AND c.subject = mine.subject AND c.used > 0",
        quotas,
        subjects
    )
    .execute(pool)
    .await
    .map(drop)
}

pub(super) async fn forget(connection: &mut PgConnection, quota: &str, subject: &[u8]) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM quota_counters WHERE quota = $1 AND subject = $2", quota, subject).execute(connection).await.map(drop)
}

/// Forgets windows that are over, at most `batch`. Returns how many.
///
/// # Errors
/// When the database is away.
pub async fn purge(connection: &mut PgConnection, now: OffsetDateTime, batch: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM quota_counters WHERE (quota, subject) IN (SELECT quota, subject FROM quota_counters WHERE window_ends_at <= $1 LIMIT $2)",
        now,
        batch
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
