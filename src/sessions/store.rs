//! The SQL of sessions. Every query that decides whether a session lives says all of it: not revoked, not idle, not over, and
//! the account active.

use crate::{
    access::{Principal, Transport},
    sessions::{
        Assured, Device, Started,
        assurance::{AAL2_IDLE, AAL2_LONGEST},
    },
};
use sqlx::{PgConnection, PgExecutor, PgPool};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// A live cookie session with its sealed state.
pub struct Live {
    /// Who it speaks for.
    pub principal: Principal,
    /// Last mark of use.
    pub last_seen_at: OffsetDateTime,
    /// The state, sealed under the keyring's session-state key.
    pub state_sealed: Vec<u8>,
    /// Which version of that key.
    pub state_key_version: i32,
}

pub(super) async fn insert(
    connection: &mut PgConnection,
    account: Uuid,
    started: &Started,
    transport: Transport,
    assured: &Assured,
    device: &Device,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO sessions (id, user_id, transport, assurance, amr, authenticated_at, aal2_until, started_at, last_seen_at, idle_expires_at,
                               absolute_expires_at, device, address)
         VALUES ($1, $2, $8, $9, $10, $11, $12, $3, $3, $4, $5, $6, $7)",
        started.id,
        account,
        now,
        started.idle_expires_at,
        started.absolute_expires_at,
        device.name,
        device.address,
        transport.name(),
        assured.level,
        &assured.amr,
        assured.at,
        assured.aal2_until(now)
    )
    .execute(connection)
    .await
    .map(drop)
}

pub(super) async fn revoke_own(connection: &mut PgConnection, account: Uuid, session: Uuid, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("UPDATE sessions SET revoked_at = $3 WHERE id = $2 AND user_id = $1 AND revoked_at IS NULL", account, session, now)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn revoke_all_but(
    connection: &mut PgConnection,
    account: Uuid,
    kept: Option<Uuid>,
    now: OffsetDateTime,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        // idle ones too: a mark of use that is not written yet may still wake them
        "UPDATE sessions SET revoked_at = $3 WHERE user_id = $1 AND ($2::uuid IS NULL OR id <> $2) AND revoked_at IS NULL
           AND absolute_expires_at > $3 RETURNING id",
        account,
        kept,
        now
    )
    .fetch_all(connection)
    .await
}

/// Ends every session of an account; nodes hear of it by the feed.
///
/// # Errors
/// When the database is away.
pub async fn revoke_all(connection: &mut PgConnection, account: Uuid, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    revoke_all_but(connection, account, None, now).await.map(drop)
}

/// A live session as its owner sees it.
pub struct Listed {
    /// Names it. Not what authenticates it.
    pub id: Uuid,
    /// Coarse device name.
    pub device: String,
    /// What is kept of the address.
    pub address: Option<String>,
    /// `cookie` or `token`.
    pub transport: String,
    /// When its owner signed in.
    pub started_at: OffsetDateTime,
    /// Last mark of use.
    pub last_seen_at: OffsetDateTime,
    /// When it ends in any case.
    pub absolute_expires_at: OffsetDateTime,
}

/// The account's live sessions, the newest first.
///
/// # Errors
/// When the database is away.
pub async fn list_own(connection: &mut PgConnection, account: Uuid, now: OffsetDateTime) -> Result<Vec<Listed>, sqlx::Error> {
    sqlx::query_as!(
        Listed,
        "SELECT id, device, address, transport, started_at, last_seen_at, absolute_expires_at FROM sessions
         WHERE user_id = $1 AND revoked_at IS NULL AND idle_expires_at > $2 AND absolute_expires_at > $2 ORDER BY id DESC LIMIT 1000",
        account,
        now
    )
    .fetch_all(connection)
    .await
}

/// The live session that a cookie's key leads to.
///
/// # Errors
/// When the database is away.
pub async fn find_live_by_key(pool: &PgPool, key_digest: &[u8], now: OffsetDateTime) -> Result<Option<Live>, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT s.id, s.user_id, (CASE WHEN s.aal2_until > $2 THEN s.assurance ELSE 1 END)::smallint AS "assurance!", s.authenticated_at,
                  s.last_seen_at, s.state_sealed AS "state_sealed!", s.state_key_version AS "state_key_version!"
           FROM sessions s JOIN users u ON u.id = s.user_id
           WHERE s.key_digest = $1 AND s.revoked_at IS NULL AND s.idle_expires_at > $2 AND s.absolute_expires_at > $2
             AND u.status = 'active'"#,
        key_digest,
        now
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Live {
        principal: Principal {
            account: row.user_id,
            session: row.id,
            transport: Transport::Cookie,
            assurance: row.assurance,
            authenticated_at: row.authenticated_at,
        },
        last_seen_at: row.last_seen_at,
        state_sealed: row.state_sealed,
        state_key_version: row.state_key_version,
    }))
}

/// Attaches a cookie's key and state to a live session, in place of another: of two that renew it at once the later one counts.
/// `false`: there is no such session.
///
/// # Errors
/// When the database is away.
pub async fn attach_key(
    pool: &PgPool,
    session: Uuid,
    key_digest: &[u8],
    state_sealed: &[u8],
    state_key_version: i32,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE sessions SET key_digest = $2, state_sealed = $3, state_key_version = $4
         WHERE id = $1 AND revoked_at IS NULL AND absolute_expires_at > $5",
        session,
        key_digest,
        state_sealed,
        state_key_version,
        now
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Replaces the state of the session that a key leads to. `false`: there is no such session.
///
/// # Errors
/// When the database is away.
pub async fn replace_state(pool: &PgPool, key_digest: &[u8], state_sealed: &[u8], state_key_version: i32) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE sessions SET state_sealed = $2, state_key_version = $3 WHERE key_digest = $1 AND revoked_at IS NULL",
        key_digest,
        state_sealed,
        state_key_version
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes key and state away, so that the cookie leads nowhere.
///
/// # Errors
/// When the database is away.
pub async fn detach_key(pool: &PgPool, key_digest: &[u8]) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE sessions SET key_digest = NULL, state_sealed = NULL, state_key_version = NULL WHERE key_digest = $1", key_digest)
        .execute(pool)
        .await
        .map(drop)
}

/// Marks use: the idle time begins anew, within the absolute end.
///
/// # Errors
/// When the database is away.
pub async fn mark_seen(pool: &PgPool, sessions: &[Uuid], times: &[OffsetDateTime], idle: Duration) -> Result<(), sqlx::Error> {
    sqlx::query!(
        // whoever ends sessions comes first: a mark waits for nobody
        "WITH free AS (
             SELECT s.id, m.at FROM sessions s JOIN unnest($1::uuid[], $2::timestamptz[]) m (id, at) ON s.id = m.id
             WHERE s.revoked_at IS NULL AND s.last_seen_at < m.at FOR UPDATE OF s SKIP LOCKED
         )
         UPDATE sessions s SET last_seen_at = free.at, idle_expires_at = least(free.at + make_interval(secs => $3), s.absolute_expires_at),
                aal2_until = CASE WHEN s.aal2_until > free.at
                                  THEN least(free.at + make_interval(secs => $4), s.authenticated_at + make_interval(secs => $5))
                                  ELSE s.aal2_until END
         FROM free WHERE s.id = free.id",
        sessions,
        times,
        idle.as_seconds_f64(),
        AAL2_IDLE.as_seconds_f64(),
        AAL2_LONGEST.as_seconds_f64()
    )
    .execute(pool)
    .await
    .map(drop)
}

/// Forgets sessions that ended before `before`, at most `batch`. Returns how many.
///
/// # Errors
/// When the database is away.
pub async fn purge(connection: &mut PgConnection, before: OffsetDateTime, batch: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE absolute_expires_at < $1 LIMIT $2)", before, batch)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

/// Whether a token session lives in the database, and if so the version of its account's authority.
///
/// # Errors
/// When the database is away.
pub async fn authority_of_live(pool: &PgPool, session: Uuid, now: OffsetDateTime) -> Result<Option<i32>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT u.authz_version FROM sessions s JOIN users u ON u.id = s.user_id
         WHERE s.id = $1 AND s.transport = 'token' AND s.revoked_at IS NULL AND s.absolute_expires_at > $2 AND u.status = 'active'",
        session,
        now
    )
    .fetch_optional(pool)
    .await
}

/// Whether a session lives, whatever carries it.
///
/// # Errors
/// When the database is away.
pub async fn is_live<'c>(database: impl PgExecutor<'c>, session: Uuid, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = $1 AND s.revoked_at IS NULL
             AND s.idle_expires_at > $2 AND s.absolute_expires_at > $2 AND u.status = 'active') AS "live!""#,
        session,
        now
    )
    .fetch_one(database)
    .await
}

/// Token sessions that ended since; a database's clock that is behind makes it more.
pub(super) async fn ended_since<'c>(database: impl PgExecutor<'c>, since: OffsetDateTime, now: OffsetDateTime) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT id FROM sessions WHERE transport = 'token' AND revoked_at IS NOT NULL AND revoked_at > least($1, now() - ($2::timestamptz - $1))",
        since,
        now
    )
    .fetch_all(database)
    .await
}

/// Accounts whose authority changed since, and its version.
pub(super) async fn authority_since<'c>(
    database: impl PgExecutor<'c>,
    since: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<Vec<(Uuid, i32)>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT id, authz_version FROM users WHERE authz_changed_at > '-infinity' AND authz_changed_at > least($1, now() - ($2::timestamptz - $1))",
        since,
        now
    )
    .fetch_all(database)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.authz_version)).collect())
}

/// Says nothing on a channel, which is enough for a beat.
pub(super) async fn say<'c>(database: impl PgExecutor<'c>, channel: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(r#"SELECT pg_notify($1, '') IS NULL AS "said""#, channel).fetch_one(database).await.map(drop)
}
