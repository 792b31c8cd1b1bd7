//! Marks of what was refused, collected in memory and written by a job in one statement, so that a request writes nothing. A crash loses
//! those of a few seconds. Their number is bounded; what comes beyond it is counted and dropped: an attack of that size has been seen.

use crate::{
    audit::alerts::store,
    platform::{
        crypto,
        keyring::{Keyring, Purpose},
    },
};
use sqlx::PgPool;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Different marks that wait at once.
const MOST: usize = 1000;

/// What was noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A sign-in was refused, or the password of somebody who is signed in; from a network, to an address.
    SignInRefused,
    /// A sign-in succeeded; to an address.
    SignedIn,
    /// A used refresh token came back; from a network, of an account.
    RefreshReplayed,
    /// Somebody who is signed in was refused for want of a permission, or asked for what is not there; a path, by an account.
    PermissionDenied,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SignInRefused => "sign_in_refused",
            Self::SignedIn => "signed_in",
            Self::RefreshReplayed => "refresh_replayed",
            Self::PermissionDenied => "permission_denied",
        }
    }
}

/// A mark.
#[derive(Debug, Clone, Copy)]
pub struct Signal {
    pub(super) kind: Kind,
    /// From where and to what: keyed digests.
    pub(super) source: [u8; 32],
    pub(super) target: [u8; 32],
    pub(super) account: Option<Uuid>,
    pub(super) request: Option<Uuid>,
}

impl Signal {
    /// From a source to a target, each told apart from others of its kind by its text; of that only a keyed digest is kept.
    #[must_use]
    pub fn between(kind: Kind, keyring: &Keyring, source: &str, target: &str) -> Self {
        let (_, key) = keyring.active(Purpose::Lookup);
        let digest = |side: &[u8], text: &str| crypto::mac(key.expose(), &[b"signal", side, text.as_bytes()]);
        Self { kind, source: digest(b"source", source), target: digest(b"target", target), account: None, request: None }
    }

    /// The account that it is about, if there is one, and the request's id.
    #[must_use]
    pub fn about(self, account: Option<Uuid>, request: Option<Uuid>) -> Self {
        Self { account, request, ..self }
    }
}

type Marks = HashMap<(Kind, OffsetDateTime, [u8; 32], [u8; 32]), (Signal, i32)>;

/// The marks of this node that are not written yet.
#[derive(Clone, Default)]
pub struct Signals(Arc<Mutex<Marks>>);

impl Signals {
    fn lock(&self) -> MutexGuard<'_, Marks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was noticed.
    pub fn note(&self, signal: Signal, now: OffsetDateTime) {
        let minute = now - Duration::nanoseconds_i128(now.unix_timestamp_nanos() % 60_000_000_000);
        self.add(&mut self.lock(), signal, minute, 1);
    }

    fn add(&self, marks: &mut Marks, signal: Signal, minute: OffsetDateTime, hits: i32) {
        let key = (signal.kind, minute, signal.source, signal.target);
        let has_room = marks.len() < MOST;
        match marks.get_mut(&key) {
            Some((_, known)) => *known = known.saturating_add(hits),
            None if has_room => _ = marks.insert(key, (signal, hits)),
            None => metrics::counter!("portcullis_alert_signals_dropped_total").increment(1),
        }
    }

    /// Writes all marks; after a failure they wait for the next round.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn write(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        let marks = std::mem::take(&mut *self.lock());
        if marks.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = marks.into_iter().map(|((_, minute, ..), (signal, hits))| (minute, signal, hits)).collect();
        let written = store::add(pool, &rows).await;
        if written.is_err() {
            let mut waiting = self.lock();
            rows.into_iter().for_each(|(minute, signal, hits)| self.add(&mut waiting, signal, minute, hits));
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded() {
        let signals = Signals::default();
        let signal = |n: usize| {
            let mut source = [0; 32];
            source[..8].copy_from_slice(&n.to_be_bytes());
            Signal { kind: Kind::SignInRefused, source, target: [0; 32], account: None, request: None }
        };
        for n in 0..MOST * 2 {
            signals.note(signal(n), OffsetDateTime::UNIX_EPOCH);
        }
        signals.note(signal(0), OffsetDateTime::UNIX_EPOCH + Duration::seconds(59));
        let marks = signals.lock();
        assert_eq!(marks.len(), MOST);
        assert_eq!(marks.values().map(|(_, hits)| hits).sum::<i32>(), i32::try_from(MOST).unwrap() + 1, "a known one still counts");
    }
}
