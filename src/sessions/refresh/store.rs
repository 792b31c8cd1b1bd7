//! The SQL of refresh tokens.

use crate::sessions::assurance::{AAL2_IDLE, AAL2_LONGEST};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

pub(super) async fn insert_first(
    connection: &mut PgConnection,
    digest: &[u8; 32],
    session: Uuid,
    tie_digest: Option<&[u8]>,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "WITH tied AS (UPDATE sessions SET tie_digest = $4 WHERE id = $2)
         INSERT INTO refresh_tokens (digest, session_id, issued_at) VALUES ($1, $2, $3)",
        digest,
        session,
        now,
        tie_digest
    )
    .execute(connection)
    .await
    .map(drop)
}

/// The session that a refresh token belongs to.
pub(super) struct Family {
    pub session: Uuid,
    pub account: Uuid,
    pub assurance: i16,
    pub aal2_until: Option<OffsetDateTime>,
    pub amr: Vec<String>,
    pub authenticated_at: OffsetDateTime,
    pub idle_expires_at: OffsetDateTime,
    pub absolute_expires_at: OffsetDateTime,
    pub is_revoked: bool,
    pub end_reason: Option<String>,
    pub tie_digest: Option<Vec<u8>>,
    pub is_active: bool,
}

/// Finds a token's session and holds it to the end of the transaction.
pub(super) async fn lock_family(connection: &mut PgConnection, digest: &[u8; 32]) -> Result<Option<Family>, sqlx::Error> {
    sqlx::query_as!(
        Family,
        r#"SELECT s.id AS session, s.user_id AS account, s.assurance, s.aal2_until, s.amr, s.authenticated_at, s.idle_expires_at, s.absolute_expires_at,
                  s.revoked_at IS NOT NULL AS "is_revoked!", s.end_reason, s.tie_digest, u.status = 'active' AS "is_active!"
           FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id JOIN users u ON u.id = s.user_id
           WHERE t.digest = $1 FOR UPDATE OF s"#,
        digest
    )
    .fetch_optional(connection)
    .await
}

/// How a refresh token was used.
pub(super) struct Use {
    pub at: OffsetDateTime,
    pub from: Option<String>,
    pub nonce: Vec<u8>,
    pub key_version: i32,
    pub is_successor_used: bool,
}

/// What became of a refresh token; `None`: it is unused. To be asked behind [`lock_family`], in a statement of its own, which sees what
/// was committed while that one waited.
pub(super) async fn use_of(connection: &mut PgConnection, digest: &[u8; 32]) -> Result<Option<Use>, sqlx::Error> {
    sqlx::query_as!(
        Use,
        r#"SELECT t.used_at AS "at!", t.used_from AS "from", n.nonce AS "nonce!", n.key_version AS "key_version!",
                  n.used_at IS NOT NULL AS "is_successor_used!"
           FROM refresh_tokens t JOIN refresh_tokens n ON n.parent = t.digest WHERE t.digest = $1 AND t.used_at IS NOT NULL"#,
        digest
    )
    .fetch_optional(connection)
    .await
}

/// A token that follows another one.
pub(super) struct Successor {
    pub digest: [u8; 32],
    pub parent: [u8; 32],
    pub nonce: [u8; 32],
    pub key_version: i32,
}

/// Spends a token for its successor and marks the session as used, by one statement.
pub(super) async fn insert_successor(
    connection: &mut PgConnection,
    made: &Successor,
    session: Uuid,
    from: Option<&str>,
    idle_expires_at: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "WITH spent AS (UPDATE refresh_tokens SET used_at = $6, used_from = $7 WHERE digest = $2),
              seen AS (UPDATE sessions SET last_seen_at = $6, idle_expires_at = $8,
                              aal2_until = CASE WHEN aal2_until > $6 THEN least($6 + make_interval(secs => $9), authenticated_at + make_interval(secs => $10))
                                                ELSE aal2_until END
                       WHERE id = $5)
         INSERT INTO refresh_tokens (digest, parent, nonce, key_version, session_id, issued_at) VALUES ($1, $2, $3, $4, $5, $6)",
        &made.digest,
        &made.parent,
        &made.nonce,
        made.key_version,
        session,
        now,
        from,
        idle_expires_at,
        AAL2_IDLE.as_seconds_f64(),
        AAL2_LONGEST.as_seconds_f64()
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Ends a session whose refresh token came back.
pub(super) async fn end_replayed(connection: &mut PgConnection, session: Uuid, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE sessions SET revoked_at = $2, end_reason = 'refresh_token_replayed' WHERE id = $1", session, now)
        .execute(connection)
        .await
        .map(drop)
}

/// Forgets refresh tokens that were used before `before`, at most `batch`: a copy of one is worth nothing then, but ends nothing
/// either. Returns how many.
///
/// # Errors
/// When the database is away.
pub async fn purge(connection: &mut PgConnection, before: OffsetDateTime, batch: i64) -> Result<u64, sqlx::Error> {
    let done =
        sqlx::query!("DELETE FROM refresh_tokens WHERE digest IN (SELECT digest FROM refresh_tokens WHERE used_at < $1 LIMIT $2)", before, batch)
            .execute(connection)
            .await?;
    Ok(done.rows_affected())
}

/// The session that a refresh token belongs to, whatever has become of both.
///
/// # Errors
/// When the database is away.
pub async fn session_of(connection: &mut PgConnection, digest: &[u8; 32]) -> Result<Option<(Uuid, Uuid)>, sqlx::Error> {
    let row = sqlx::query!("SELECT s.id, s.user_id FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id WHERE t.digest = $1", digest)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| (row.user_id, row.id)))
}
