//! What a proof buys: one row a sign-in, whatever the proof and the transport. The row's typed columns are the authority on
//! who is signed in and until when; cookie and state only lead to it.
//!
//! A cookie leads to its row on every call. Tokens lead to it when they are refreshed; in between each node's memory of what ended
//! ([`revocation`]) answers, fed by the database ([`feed`]).
//! Practices 2.session-expiry, 2.revocation, 14.idle-timeout, 14.invalidate-on-sign-out.
//! Attacks: `tests/suite/attacks/s14_sessions/`.

pub mod assurance;
pub mod device;
pub mod disabling;
pub mod feed;
pub mod refresh;
pub mod revocation;
pub mod seen;
pub mod store;
pub mod token;

pub use assurance::Assured;
pub use device::Device;

use crate::{
    access::{Principal, Transport},
    platform::crypto,
};
use revocation::Revocations;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// How long sessions live.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// Ends a session that nobody uses. At most an hour at AAL2, 30 minutes by default (OWASP session management).
    pub idle: Duration,
    /// Ends a session in any case.
    pub absolute: Duration,
    /// Those of sessions with tokens.
    pub tokens: TokenLifetimes,
    /// What changes an account or authority needs a proof of who one is that is not older.
    pub step_up: Duration,
}

/// How long tokens and their sessions live.
#[derive(Debug, Clone, Copy)]
pub struct TokenLifetimes {
    /// An access token, at most [`crate::platform::keyring::LONGEST_TOKEN_LIFE`].
    pub access: Duration,
    /// Ends a session that is not refreshed.
    pub idle: Duration,
    /// Ends a session in any case, however often it is refreshed.
    pub absolute: Duration,
    /// A used refresh token gives the same successor once more for this long.
    pub grace: Duration,
}

/// Marks of use are written at most this often, so that an ordinary request writes nothing. A session may end up to this much
/// before its idle time is over, never after.
pub const SEEN_GRANULARITY: Duration = Duration::minutes(1);

/// A session that was just started.
#[derive(Debug, Clone, Copy)]
pub struct Started {
    /// Names the session in lists. Not what authenticates it.
    pub id: Uuid,
    /// Ends at this time unless used.
    pub idle_expires_at: OffsetDateTime,
    /// Ends at this time in any case.
    pub absolute_expires_at: OffsetDateTime,
}

/// Starts a session of somebody who has shown who they are. Nothing authenticates it until the session store attaches a key, or tokens are made.
///
/// # Errors
/// When the database is away.
pub async fn start(
    connection: &mut PgConnection,
    account: Uuid,
    transport: Transport,
    assured: &Assured,
    device: &Device,
    now: OffsetDateTime,
    lifetimes: Lifetimes,
) -> Result<Started, sqlx::Error> {
    let (idle, absolute) = match transport {
        Transport::Cookie | Transport::Outside | Transport::Key => (lifetimes.idle, lifetimes.absolute),
        Transport::Token => (lifetimes.tokens.idle, lifetimes.tokens.absolute),
    };
    let absolute_expires_at = now + absolute;
    let started = Started { id: crypto::uuid_v7(now), idle_expires_at: absolute_expires_at.min(now + idle), absolute_expires_at };
    store::insert(connection, account, &started, transport, assured, device, now).await?;
    Ok(started)
}

/// Ends one session of the account at once. `false`: the account has no such live session.
///
/// # Errors
/// When the database is away.
pub async fn end_own(
    connection: &mut PgConnection,
    revocations: &Revocations,
    account: Uuid,
    session: Uuid,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let is_ended = store::revoke_own(connection, account, session, now).await?;
    if is_ended {
        revocations.doubt(&[session]);
    }
    Ok(is_ended)
}

/// Ends all sessions of the account but one. Returns how many.
///
/// # Errors
/// When the database is away.
pub async fn end_others(
    connection: &mut PgConnection,
    revocations: &Revocations,
    principal: &Principal,
    now: OffsetDateTime,
) -> Result<usize, sqlx::Error> {
    end_all_but(connection, revocations, principal.account, Some(principal.session), now).await
}

/// Ends all sessions of the account. Returns how many.
///
/// # Errors
/// When the database is away.
pub async fn end_all(connection: &mut PgConnection, revocations: &Revocations, account: Uuid, now: OffsetDateTime) -> Result<usize, sqlx::Error> {
    end_all_but(connection, revocations, account, None, now).await
}

async fn end_all_but(
    connection: &mut PgConnection,
    revocations: &Revocations,
    account: Uuid,
    kept: Option<Uuid>,
    now: OffsetDateTime,
) -> Result<usize, sqlx::Error> {
    let ended = store::revoke_all_but(connection, account, kept, now).await?;
    revocations.doubt(&ended);
    Ok(ended.len())
}
