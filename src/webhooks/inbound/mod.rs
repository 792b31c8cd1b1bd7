//! What other services tell this one. A [`Source`] is named by the settings, with its scheme, its keys and what its messages do. What holds
//! is stored, sealed, before the sender hears that it does; a job does the rest, so that neither a slow effect nor a crash loses a message
//! or acts on it twice.
//!
//! Protects against replays (practice 11.replay): what a scheme signs of a message's identity is spent by a unique constraint. The same
//! message again is a sender that missed the answer, and changes nothing, unless it was given up: then it is dealt with after all. Another body
//! under the same id is refused.
//! Attacks: `tests/suite/attacks/s11_webhooks/`.

mod scheme;
pub mod store;

pub use scheme::{Claim, Keys, Reason};

use crate::platform::{
    crypto,
    db::StoreError,
    keyring::{Keyring, Purpose},
};
use ipnet::IpNet;
use scheme::Head;
use sqlx::PgConnection;
use std::net::IpAddr;
use store::Row;
use time::OffsetDateTime;
use uuid::Uuid;

/// What is done about a source's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// They are kept and can be read.
    Record,
    /// `user.deactivated` disables the account that it names.
    Offboard,
}

/// Who may tell something.
pub struct Source {
    /// What it is called, in paths and in the log.
    pub name: String,
    /// How it signs. It is believed in no other way.
    pub keys: Keys,
    /// From where it calls; none: from anywhere.
    pub networks: Vec<IpNet>,
    /// Longest body, in bytes.
    pub max_bytes: usize,
    /// What its messages do.
    pub effect: Effect,
}

impl Source {
    /// Whether it calls from there (practice 11.ip-allow-list).
    #[must_use]
    pub fn calls_from(&self, place: IpAddr) -> bool {
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&place))
    }
}

/// What became of a message that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is new, and waits for the job.
    New(Uuid),
    /// It came before, to the byte.
    Again(Uuid),
    /// It came before and was given up; now it waits for the job once more.
    Revived(Uuid),
    /// Another one came before under its id.
    Reused,
}

/// Spends what identifies the message and stores it, as part of the caller's transaction. Copies that come at once wait here for the first.
///
/// # Errors
/// The reason for a body that is not what a scheme demands; or [`StoreError`].
pub async fn keep(
    connection: &mut PgConnection,
    keyring: &Keyring,
    source: &Source,
    (claim, body): (&Claim, &[u8]),
    now: OffsetDateTime,
) -> Result<Result<(Kept, Option<String>), Reason>, StoreError> {
    let Some(head) = Head::of(body) else { return Ok(Err(Reason::Contents)) };
    // without a key: a nonce under one key would be new under the next
    let digest = crypto::sha256(body);
    let nonce = match claim {
        Claim::Standard { id, .. } => Some(id.as_str().to_owned()),
        Claim::Stripe { .. } => head.id().map(|id| id.as_str().to_owned()),
        // its delivery's id is not signed: whoever has one message could send it under any number of them
        Claim::GitHub { .. } => Some(crypto::hex(&digest)),
    };
    let Some(nonce) = nonce else { return Ok(Err(Reason::Contents)) };
    let (id, kind) = (crypto::uuid_v7(now), head.kind());
    let (key_version, sealed) = keyring.seal(Purpose::WebhookInbox, id.as_bytes(), body)?;
    let for_good = matches!(claim, Claim::GitHub { .. });
    let row = Row { id, source: &source.name, nonce: &nonce, digest: &digest, for_good, kind: kind.as_deref(), sealed: &sealed, key_version };
    let kept = if store::insert(connection, &row, now).await? {
        Kept::New(id)
    } else {
        match store::spent(connection, &source.name, &nonce).await? {
            Some((id, before)) if crypto::equal(&before, &digest) => {
                // sealed anew: what there was may be what could not be opened
                let (key_version, sealed) = keyring.seal(Purpose::WebhookInbox, id.as_bytes(), body)?;
                if store::revive(connection, id, (key_version, &sealed), now).await? { Kept::Revived(id) } else { Kept::Again(id) }
            }
            _ => Kept::Reused,
        }
    };
    Ok(Ok((kept, kind)))
}

/// What a message said, byte by byte.
///
/// # Errors
/// [`StoreError`] when its key is revoked, or it was altered.
pub fn open(keyring: &Keyring, id: Uuid, key_version: i32, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
    Ok(keyring.open_sealed(Purpose::WebhookInbox, key_version, id.as_bytes(), sealed)?)
}
