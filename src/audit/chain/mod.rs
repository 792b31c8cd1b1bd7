//! The chain over the audit log: whoever can write to the database, but has neither the service's keys nor yesterday's head, changes no
//! event unseen.
//!
//! Events are written without it; a job appends them in batches ([`append`]), so that no request waits for another one's. What a batch
//! ends with is signed and goes to the log: a head that an operator keeps elsewhere shows a tail that was cut. The service never
//! extends what it did not sign. Tables, canonical form and limits: `docs/audit.md`.
//! Practice 9.least-privilege.
//! Attacks: `tests/suite/attacks/s08_errors/altered_audit_log.rs`.

mod damage;
pub mod export;
mod form;
pub mod prune;
pub mod store;
pub mod verify;

use crate::platform::{
    clock::Clock,
    crypto,
    db::StoreError,
    keyring::{Keyring, Purpose},
};
use sqlx::{PgConnection, PgPool};
use std::{
    fmt,
    str::FromStr,
    sync::{Mutex, PoisonError},
};
use store::{Link, Signed};
use uuid::Uuid;

/// Events of one transaction, of the chainer and of those who read the chain: a megabyte or two.
const BATCH: i64 = 1000;

/// Where the chain begins.
const GENESIS: [u8; 32] = [0; 32];

/// What the chain was up to a place. As text: `seq:hash`, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The place of its last event, from 1.
    pub seq: i64,
    /// That event's hash.
    pub hash: [u8; 32],
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, crypto::hex(&self.hash))
    }
}

/// A text that is no head.
#[derive(Debug, thiserror::Error)]
#[error("is no head: it looks like 12:5fe1… with 64 hexadecimal digits, as `audit verify` and the log show it")]
pub struct NoHead;

impl FromStr for Head {
    type Err = NoHead;

    fn from_str(text: &str) -> Result<Self, NoHead> {
        let (seq, hash) = text.trim().split_once(':').ok_or(NoHead)?;
        let seq = seq.parse().ok().filter(|seq| *seq > 0).ok_or(NoHead)?;
        let hash = crypto::from_hex(hash).and_then(|hash| hash.try_into().ok()).ok_or(NoHead)?;
        Ok(Self { seq, hash })
    }
}

/// The newest head that this process signed. A chain without it was cut or written anew behind the running service's back: that needs no
/// anchor to be seen, and ends with the process.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Option<Head>>);

impl Memory {
    fn get(&self) -> Option<Head> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, head: Head) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
    }
}

/// How much waits for the chainer.
#[derive(Debug, Clone, Copy)]
pub struct Backlog {
    /// Events.
    pub waiting: i64,
    /// When the oldest of them was written.
    pub oldest: Option<time::OffsetDateTime>,
}

/// What waits.
///
/// # Errors
/// When the database is away.
pub async fn backlog(connection: &mut PgConnection) -> Result<Backlog, sqlx::Error> {
    store::backlog(connection).await
}

/// Chains what waits. Two at once: one waits for the other, batch by batch.
///
/// # Errors
/// [`StoreError`]; [`StoreError::Altered`] where the chain does not end with what we signed: nothing is appended to it then.
pub async fn append(pool: &PgPool, keyring: &Keyring, clock: &Clock, memory: &Memory) -> Result<(), StoreError> {
    let mut last = None;
    while let Some(next) = append_batch(pool, keyring, clock, memory, last).await? {
        last = Some(next);
    }
    Ok(())
}

/// Chains what waits beyond this event. Gives the last that it looked at, unless that was all.
async fn append_batch(pool: &PgPool, keyring: &Keyring, clock: &Clock, memory: &Memory, beyond: Option<Uuid>) -> Result<Option<Uuid>, StoreError> {
    let mut transaction = pool.begin().await?;
    store::lock(&mut transaction).await?;
    // also where nothing waits: a round that looks at nothing must not say that all is well again
    must_hold(&mut transaction, keyring, memory.get().as_ref()).await?;
    let waiting = store::waiting(&mut transaction, beyond, BATCH).await?;
    let Some(newest) = waiting.last().copied() else { return Ok(None) };
    // what was deleted while it waited stays in the queue, for `verify` to tell
    let events = store::events(&mut transaction, &waiting).await?;
    if !events.is_empty() {
        let end = end_that_we_signed(&mut transaction, keyring).await?;
        let mut head = end.clone();
        let mut links = Vec::with_capacity(events.len());
        for event in &events {
            let seq = head.seq + 1;
            head = Head { seq, hash: form::link(&head.hash, seq, event) };
            links.push(Link { seq, event_id: event.id, hash: head.hash.to_vec() });
        }
        let now = clock.now();
        let (key_version, signature) = keyring.attest(Purpose::AuditChain, &form::head(end.seq, &head, now))?;
        store::append(&mut transaction, &links).await?;
        store::insert_head(&mut transaction, end.seq, &head, now, key_version, &signature).await?;
        transaction.commit().await?;
        tracing::info!(seq = head.seq, head = %head, "audit chain head");
        memory.set(head);
    }
    Ok(Some(newest).filter(|_| waiting.len() as i64 == BATCH))
}

/// The end of the chain, as far as it is ours: whoever cut heads away and wrote links of their own must not get our signature on them.
///
/// # Errors
/// [`StoreError::Altered`] where the chain does not end with what we signed.
pub async fn end_that_we_signed(connection: &mut PgConnection, keyring: &Keyring) -> Result<Head, StoreError> {
    let end = store::last_link(connection).await?;
    let Some(signed) = store::last_signed(connection).await? else {
        return match end {
            None => Ok(Head { seq: 0, hash: GENESIS }),
            Some(_) => Err(StoreError::Altered("the audit chain has no signed head")),
        };
    };
    let is_its_end = match &end {
        Some(link) => (link.seq, &link.hash) == (signed.seq, &signed.hash),
        None => signed.is_checkpoint(),
    };
    let head = head_of(&signed).filter(|head| is_its_end && is_ours(keyring, &signed, head));
    head.ok_or(StoreError::Altered("the audit chain does not end with its signed head: see `portcullis audit verify`"))
}

/// Refuses a chain that has lost this head otherwise than by its owner's pruning.
async fn must_hold(connection: &mut PgConnection, keyring: &Keyring, known: Option<&Head>) -> Result<(), StoreError> {
    let Some(known) = known else { return Ok(()) };
    if store::has_link(connection, known).await? {
        return Ok(());
    }
    let newest = store::checkpoints(connection).await?.pop().filter(|checkpoint| checkpoint.seq >= known.seq);
    let is_pruned = newest.is_some_and(|newest| head_of(&newest).is_some_and(|head| is_ours(keyring, &newest, &head)));
    if is_pruned { Ok(()) } else { Err(StoreError::Altered("the audit chain has lost a head that this process signed")) }
}

fn head_of(signed: &Signed) -> Option<Head> {
    Some(Head { seq: signed.seq, hash: signed.hash.as_slice().try_into().ok()? })
}

fn is_ours(keyring: &Keyring, signed: &Signed, head: &Head) -> bool {
    let statement = match signed.after {
        Some(after) => form::head(after, head, signed.at),
        None => form::checkpoint(head, signed.at),
    };
    keyring.is_attested(Purpose::AuditChain, signed.key_version, &statement, &signed.signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_is_written() {
        let head = Head { seq: 12, hash: crypto::random() };
        assert_eq!(head.to_string().parse::<Head>().unwrap(), head);
        let hash = "5f".repeat(32);
        for wrong in
            ["", "12", &format!("0:{hash}"), &format!("-1:{hash}"), &format!("1:{}", &hash[2..]), &format!("1:{hash}5f"), &format!("x:{hash}")]
        {
            assert!(wrong.parse::<Head>().is_err(), "{wrong}");
        }
    }
}
