//! Refresh tokens: opaque, good for one exchange, stored as digests. Each belongs to one session, its family.
//!
//! The successor of a token is derived from it, from a nonce that its row keeps, and from a key of the keyring. So a client that lost
//! the answer, or whose second tab asks with the same token, gets the same successor again and nothing forks: for some seconds, and
//! only until the successor is used. After that an old token is a copy in somebody else's hands; the whole family ends.
//! What this cannot see is a thief who exchanges in step with the victim within the grace, and a copy that comes back after a week,
//! when its row has been forgotten: it is worth nothing, but ends nothing.
//! Practice 2.revocation. Attacks: `tests/suite/attacks/s02_credentials/refresh_replay.rs`.

pub mod store;

use crate::{
    access::{Principal, Transport},
    platform::{
        crypto::{self, SecretToken},
        keyring::{Keyring, Purpose},
    },
    sessions::{TokenLifetimes, assurance::counting, revocation::Revocations},
};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// A refresh token as it was sent.
pub struct Sent {
    /// The token.
    pub token: SecretToken,
    /// What came beside it, when it came in a cookie.
    pub tie: Option<SecretToken>,
    /// What is kept of the address that it came from.
    pub from: Option<String>,
}

/// What a refresh token was worth.
pub enum Exchange {
    /// A successor.
    Done(Exchanged),
    /// A copy of a used token: the session is over, because somebody else may have it.
    Replayed {
        /// Whose session it was.
        account: Uuid,
        /// Which session.
        session: Uuid,
        /// Where the token was used before.
        before_from: Option<String>,
    },
    /// Its session ended before, because one of its tokens was replayed.
    EndedByReplay,
    /// Nothing: unknown, over, or ended in another way.
    Worthless,
}

/// An exchanged token.
pub struct Exchanged {
    /// Who, in which session.
    pub principal: Principal,
    /// How the person proved who they are.
    pub amr: Vec<String>,
    /// The next token.
    pub successor: SecretToken,
    /// Unless it is used, the session ends then.
    pub idle_expires_at: OffsetDateTime,
    /// The session ends then in any case.
    pub absolute_expires_at: OffsetDateTime,
    /// It was exchanged before, within the grace: from here. The inner value: what is kept of that address.
    pub repeats: Option<Option<String>>,
}

/// The first token of a session. With a `tie`, it and its successors are worth something only beside that.
///
/// # Errors
/// When the database is away.
pub async fn first(connection: &mut PgConnection, session: Uuid, tie: Option<&SecretToken>, now: OffsetDateTime) -> Result<SecretToken, sqlx::Error> {
    let token = SecretToken::generate();
    let tie_digest = tie.map(SecretToken::digest);
    store::insert_first(connection, &token.digest(), session, tie_digest.as_ref().map(<[u8; 32]>::as_slice), now).await?;
    Ok(token)
}

/// Exchanges a token for its successor, in the caller's transaction: two at once wait for each other, and there is one successor.
///
/// # Errors
/// When the database is away.
pub async fn exchange(
    connection: &mut PgConnection,
    keyring: &Keyring,
    revocations: &Revocations,
    sent: &Sent,
    lifetimes: TokenLifetimes,
    now: OffsetDateTime,
) -> Result<Exchange, sqlx::Error> {
    let Sent { token, tie, from } = sent;
    let digest = token.digest();
    let Some(family) = store::lock_family(connection, &digest).await? else { return Ok(Exchange::Worthless) };
    if family.tie_digest.as_deref() != tie.as_ref().map(SecretToken::digest).as_ref().map(<[u8; 32]>::as_slice) {
        return Ok(Exchange::Worthless);
    }
    if family.end_reason.as_deref() == Some("refresh_token_replayed") {
        return Ok(Exchange::EndedByReplay);
    }
    if !family.is_active || family.is_revoked || family.idle_expires_at <= now || family.absolute_expires_at <= now {
        return Ok(Exchange::Worthless);
    }
    // behind the lock: what others did with this token is done
    let used = store::use_of(connection, &digest).await?;
    let Some(used) = used else {
        let (nonce, (key_version, key)) = (crypto::random::<32>(), keyring.making_row(Purpose::RefreshToken)?);
        let successor = SecretToken::derive(key.expose(), &[token.expose().as_bytes(), &nonce]);
        let idle_expires_at = family.absolute_expires_at.min(now + lifetimes.idle);
        let made = store::Successor { digest: successor.digest(), parent: digest, nonce, key_version };
        store::insert_successor(connection, &made, family.session, from.as_deref(), idle_expires_at, now).await?;
        return Ok(Exchange::Done(family.exchanged(successor, idle_expires_at, None, now)));
    };
    if !used.is_successor_used && now < used.at + lifetimes.grace {
        // its key is gone: no theft, but nothing to give either
        let Some(key) = keyring.accepted(Purpose::RefreshToken, used.key_version, now) else { return Ok(Exchange::Worthless) };
        let successor = SecretToken::derive(key.expose(), &[token.expose().as_bytes(), &used.nonce]);
        let idle_expires_at = family.idle_expires_at;
        return Ok(Exchange::Done(family.exchanged(successor, idle_expires_at, Some(used.from), now)));
    }
    store::end_replayed(connection, family.session, now).await?;
    revocations.doubt(&[family.session]);
    Ok(Exchange::Replayed { account: family.account, session: family.session, before_from: used.from })
}

impl store::Family {
    fn exchanged(self, successor: SecretToken, idle_expires_at: OffsetDateTime, repeats: Option<Option<String>>, now: OffsetDateTime) -> Exchanged {
        let assurance = if self.aal2_until.is_some_and(|until| until > now) { self.assurance } else { 1 };
        Exchanged {
            principal: Principal {
                account: self.account,
                session: self.session,
                transport: Transport::Token,
                assurance,
                authenticated_at: self.authenticated_at,
            },
            amr: counting(self.amr, assurance),
            successor,
            idle_expires_at,
            absolute_expires_at: self.absolute_expires_at,
            repeats,
        }
    }
}
