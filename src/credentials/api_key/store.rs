//! The SQL of API keys. But for the look-up of a call, every statement names whose key it wants. Practice 3.sql-injection.

use crate::credentials::api_key::Wanted;
use sqlx::{PgConnection, PgExecutor, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

/// A live key of an active account.
pub(super) struct Found {
    pub account: Uuid,
    pub digest: Vec<u8>,
    pub key_version: i32,
    pub scopes: Vec<String>,
    pub is_from_here: bool,
    pub last_used_at: Option<OffsetDateTime>,
}

pub(super) async fn find_live(pool: &PgPool, id: Uuid, from: &str, now: OffsetDateTime) -> Result<Option<Found>, sqlx::Error> {
    sqlx::query_as!(
        Found,
        r#"SELECT k.user_id AS account, k.digest, k.key_version, k.last_used_at,
                  ARRAY(SELECT permission FROM api_key_scopes WHERE api_key = k.id) AS "scopes!",
                  k.networks IS NULL OR $2::text::inet <<= ANY (k.networks::inet[]) AS "is_from_here!"
           FROM api_keys k JOIN users u ON u.id = k.user_id
           WHERE k.id = $1 AND k.revoked_at IS NULL AND k.expires_at > $3 AND u.status = 'active'"#,
        id,
        from,
        now
    )
    .fetch_optional(pool)
    .await
}

/// Whether a key still counts.
///
/// # Errors
/// When the database is away.
pub async fn is_live<'c>(database: impl PgExecutor<'c>, id: Uuid, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM api_keys k JOIN users u ON u.id = k.user_id
                          WHERE k.id = $1 AND k.revoked_at IS NULL AND k.expires_at > $2 AND u.status = 'active') AS "live!""#,
        id,
        now
    )
    .fetch_one(database)
    .await
}

/// A live key as its owner sees it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its id.
    pub id: Uuid,
    /// What its owner calls it.
    pub name: String,
    /// Names of the permissions that it was made for.
    pub scopes: Vec<String>,
    /// From where it may be used.
    pub networks: Option<Vec<String>>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it ends.
    pub expires_at: OffsetDateTime,
    /// When it was last used, to the minute or so.
    pub last_used_at: Option<OffsetDateTime>,
    /// The key that takes over.
    pub replaced_by: Option<Uuid>,
}

/// An account's live keys, or one of them; the newest first.
///
/// # Errors
/// When the database is away.
pub async fn list_own(connection: &mut PgConnection, owner: Uuid, id: Option<Uuid>, now: OffsetDateTime) -> Result<Vec<Listed>, sqlx::Error> {
    sqlx::query_as!(
        Listed,
        r#"SELECT id, name, networks::text[] AS "networks: Vec<String>", created_at, expires_at, last_used_at, replaced_by,
                  ARRAY(SELECT permission FROM api_key_scopes WHERE api_key = k.id ORDER BY permission) AS "scopes!"
           FROM api_keys k WHERE user_id = $1 AND ($2::uuid IS NULL OR id = $2) AND revoked_at IS NULL AND expires_at > $3
           ORDER BY id DESC"#,
        owner,
        id,
        now
    )
    .fetch_all(connection)
    .await
}

pub(super) async fn count_live(connection: &mut PgConnection, owner: Uuid, now: OffsetDateTime) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM api_keys WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2"#, owner, now)
        .fetch_one(connection)
        .await
}

pub(super) async fn insert(
    connection: &mut PgConnection,
    (id, digest, key_version): (Uuid, &[u8; 32], i32),
    (owner, maker): (Uuid, Uuid),
    wanted: &Wanted,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO api_keys (id, user_id, name, digest, key_version, networks, created_at, created_by, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6::text[]::cidr[], $7, $8, $9)",
        id,
        owner,
        wanted.name,
        digest,
        key_version,
        wanted.networks.as_deref(),
        now,
        maker,
        wanted.expires_at
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("INSERT INTO api_key_scopes (api_key, permission) SELECT $1, unnest($2::text[])", id, &wanted.scopes)
        .execute(connection)
        .await
        .map(drop)
}

/// The old one ends with the overlap, not later than it would have.
pub(super) async fn set_successor(
    connection: &mut PgConnection,
    owner: Uuid,
    (old, successor): (Uuid, Uuid),
    end: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE api_keys SET replaced_by = $3, expires_at = greatest(least(expires_at, $4), created_at + interval '1 microsecond')
         WHERE id = $2 AND user_id = $1",
        owner,
        old,
        successor,
        end
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Ends a key of the account at once. `false`: it has no such live key.
///
/// # Errors
/// When the database is away.
pub async fn revoke_own(connection: &mut PgConnection, owner: Uuid, id: Uuid, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done =
        sqlx::query!("UPDATE api_keys SET revoked_at = $3 WHERE id = $2 AND user_id = $1 AND revoked_at IS NULL AND expires_at > $3", owner, id, now)
            .execute(connection)
            .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends every key of the account at once. Returns how many.
///
/// # Errors
/// When the database is away.
pub async fn revoke_all(connection: &mut PgConnection, owner: Uuid, now: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!("UPDATE api_keys SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2", owner, now)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

pub(super) async fn mark_used(pool: &PgPool, keys: &[Uuid], times: &[OffsetDateTime]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        // whoever changes a key comes first: a mark waits for nobody
        "WITH free AS (
             SELECT k.id, m.at FROM api_keys k JOIN unnest($1::uuid[], $2::timestamptz[]) m (id, at) ON k.id = m.id
             WHERE k.last_used_at IS NULL OR k.last_used_at < m.at FOR UPDATE OF k SKIP LOCKED
         )
         UPDATE api_keys k SET last_used_at = free.at FROM free WHERE k.id = free.id",
        keys,
        times
    )
    .execute(pool)
    .await
    .map(drop)
}

/// Forgets keys that ended before `before`, at most `batch`. Returns how many.
///
/// # Errors
/// When the database is away.
pub async fn purge(connection: &mut PgConnection, before: OffsetDateTime, batch: i64) -> Result<u64, sqlx::Error> {
    let done =
        sqlx::query!("DELETE FROM api_keys WHERE id IN (SELECT id FROM api_keys WHERE expires_at < $1 OR revoked_at < $1 LIMIT $2)", before, batch)
            .execute(connection)
            .await?;
    Ok(done.rows_affected())
}
