//! The shared counters in Postgres, the default: one statement a call. How it counts is in the migration that makes `spend_quotas`.

use crate::platform::window::{Counted, Key, Rule};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

pub(super) async fn spend(pool: &PgPool, asked: &[(Key, Rule)], now_ms: i64) -> Result<Vec<Counted>, sqlx::Error> {
    let (quotas, subjects) = columns(asked.iter().map(|(key, _)| key));
    let numbers: Vec<i64> = asked.iter().map(|(_, rule)| rule.number.into()).collect();
    let keeps: Vec<i64> = asked.iter().map(|(_, rule)| rule.keep_ms).collect();
    let grains: Vec<i64> = asked.iter().map(|(_, rule)| rule.grain_ms).collect();
    let rows = sqlx::query!(
        r#"SELECT quota AS "quota!", used AS "used!", is_over AS "is_over!", start AS "start!", frees_at AS "frees_at!"
           FROM spend_quotas($1, $2, $3, $4, $5, $6)"#,
        &quotas,
        &subjects,
        &numbers,
        &keeps,
        &grains,
        now_ms
    )
    .fetch_all(pool)
    .await?;
    // rows come in any order; no call counts twice under one quota
    let counted = asked.iter().filter_map(|((quota, _), _)| {
        let row = rows.iter().find(|row| row.quota == *quota)?;
        let used = u32::try_from(row.used).unwrap_or(u32::MAX);
        Some(Counted { used, is_over: row.is_over, start_ms: row.start, frees_at_ms: row.frees_at })
    });
    Ok(counted.collect())
}

pub(super) async fn give_back(pool: &PgPool, parts: &[(Key, i64)]) -> Result<(), sqlx::Error> {
    let (quotas, subjects) = columns(parts.iter().map(|(key, _)| key));
    let starts: Vec<i64> = parts.iter().map(|(_, start)| *start).collect();
    sqlx::query!(
        "WITH mine AS (
             SELECT w.quota, w.subject, array_position(w.starts, n.start) AS place
             FROM quota_windows w JOIN unnest($1::text[], $2::bytea[], $3::bigint[]) n (quota, subject, start) USING (quota, subject)
             ORDER BY w.quota, w.subject FOR UPDATE OF w
         )
         UPDATE quota_windows w SET hits[mine.place] = w.hits[mine.place] - 1 FROM mine
         WHERE w.quota = mine.quota AND w.subject = mine.subject AND w.hits[mine.place] > 0",
        &quotas,
        &subjects,
        &starts
    )
    .execute(pool)
    .await
    .map(drop)
}

fn columns<'k>(keys: impl Iterator<Item = &'k Key>) -> (Vec<String>, Vec<Vec<u8>>) {
    keys.map(|(quota, subject)| ((*quota).to_owned(), subject.to_vec())).unzip()
}

pub(super) async fn forget(connection: &mut PgConnection, (quota, subject): &Key) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM quota_windows WHERE quota = $1 AND subject = $2", quota, subject).execute(connection).await.map(drop)
}

/// Forgets windows that are over, at most `batch`. Returns how many.
///
/// # Errors
/// When the database is away.
pub async fn purge(connection: &mut PgConnection, now: OffsetDateTime, batch: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM quota_windows WHERE (quota, subject) IN (SELECT quota, subject FROM quota_windows WHERE expires_at <= $1 LIMIT $2) AND expires_at <= $1",
        now,
        batch
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
