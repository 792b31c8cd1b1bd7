//! The SQL of how sure a session is of its owner.

use crate::{
    access::Principal,
    sessions::assurance::{Assured, Raised},
};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

pub(super) async fn raise(
    connection: &mut PgConnection,
    principal: &Principal,
    assured: &Assured,
    now: OffsetDateTime,
) -> Result<Option<Raised>, sqlx::Error> {
    sqlx::query_as!(
        Raised,
        r#"UPDATE sessions SET assurance = $3, authenticated_at = $4, aal2_until = $5,
                  amr = amr || ARRAY(SELECT way FROM unnest($6::text[]) way WHERE way <> ALL(amr))
           WHERE id = $2 AND user_id = $1 AND revoked_at IS NULL AND idle_expires_at > $7 AND absolute_expires_at > $7
           RETURNING id AS session, amr, idle_expires_at, absolute_expires_at, tie_digest IS NOT NULL AS "has_tie!""#,
        principal.account,
        principal.session,
        assured.level,
        assured.at,
        assured.aal2_until(now),
        &assured.amr,
        now
    )
    .fetch_optional(connection)
    .await
}

/// The same session under another id.
pub(super) async fn continue_as(
    connection: &mut PgConnection,
    principal: &Principal,
    id: Uuid,
    assured: &Assured,
    now: OffsetDateTime,
) -> Result<Option<Raised>, sqlx::Error> {
    sqlx::query_as!(
        Raised,
        r#"INSERT INTO sessions (id, user_id, transport, assurance, amr, authenticated_at, aal2_until, started_at, mailbox_proven_at,
                                 last_seen_at, idle_expires_at, absolute_expires_at, device, address)
           SELECT $3, user_id, transport, $4, amr || ARRAY(SELECT way FROM unnest($7::text[]) way WHERE way <> ALL(amr)), $5, $6, started_at,
                  mailbox_proven_at, $8, idle_expires_at, absolute_expires_at, device, address
           FROM sessions
           WHERE id = $2 AND user_id = $1 AND revoked_at IS NULL AND idle_expires_at > $8 AND absolute_expires_at > $8 FOR UPDATE
           RETURNING id AS session, amr, idle_expires_at, absolute_expires_at,
                     (SELECT old.tie_digest IS NOT NULL FROM sessions old WHERE old.id = $2) AS "has_tie!""#,
        principal.account,
        principal.session,
        id,
        assured.level,
        assured.at,
        assured.aal2_until(now),
        &assured.amr,
        now
    )
    .fetch_optional(connection)
    .await
}

/// When a session's owner signed in, and when they last showed that they read the account's mail.
///
/// # Errors
/// When the database is away.
pub async fn history(
    connection: &mut PgConnection,
    account: Uuid,
    session: Uuid,
) -> Result<Option<(OffsetDateTime, Option<OffsetDateTime>)>, sqlx::Error> {
    let row = sqlx::query!("SELECT started_at, mailbox_proven_at FROM sessions WHERE id = $1 AND user_id = $2", session, account)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| (row.started_at, row.mailbox_proven_at)))
}

/// A session's owner has shown that they read the account's mail.
///
/// # Errors
/// When the database is away.
pub async fn mark_mailbox_proven(connection: &mut PgConnection, account: Uuid, session: Uuid, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE sessions SET mailbox_proven_at = $3 WHERE id = $1 AND user_id = $2", session, account, now)
        .execute(connection)
        .await
        .map(drop)
}
