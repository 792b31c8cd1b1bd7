//! Which access tokens are worth nothing any more although their time is not over. Every node keeps the few sessions that ended
//! and the few accounts whose authority changed within a token's life in memory, told by the feed (`feed.rs`), so that a call with a
//! token asks no database. Whenever this memory may be behind, the answer is "ask": doubt never lets anybody in.
//! Practice 2.revocation. Attacks: `tests/suite/attacks/s02_credentials/ended_elsewhere.rs`.

use crate::platform::keyring::LONGEST_TOKEN_LIFE;
use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use uuid::Uuid;

/// What was heard longer ago than this is not trusted.
pub const TRUSTED_FOR: Duration = Duration::from_secs(2);

/// What memory keeps about an ended session outlives every token of it, for clocks up to a minute apart.
pub(super) const KEPT: time::Duration = LONGEST_TOKEN_LIFE.saturating_add(time::Duration::MINUTE);

/// The same by a clock that nobody sets.
fn kept_until() -> Instant {
    Instant::now() + KEPT.unsigned_abs()
}

/// What memory says of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its session goes on and its authority is the newest.
    Good,
    /// Its session is over.
    Ended,
    /// The database knows.
    Ask,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Ended,
    /// Being ended by a transaction that may not have committed.
    Doubtful,
}

#[derive(Default)]
struct Known {
    sessions: HashMap<Uuid, (Fate, Instant)>,
    accounts: HashMap<Uuid, (i32, Instant)>,
}

struct Shared {
    known: RwLock<Known>,
    started: Instant,
    /// Milliseconds from the start, plus one, to the moment up to which everything was heard; 0: nothing was.
    heard_up_to: AtomicU64,
    /// The same, of the moment up to which everything must have been heard for authority to be trusted.
    doubted_at: AtomicU64,
}

/// This node's memory.
#[derive(Clone)]
pub struct Revocations(Arc<Shared>);

/// Knows nothing yet and so trusts nothing.
impl Default for Revocations {
    fn default() -> Self {
        let (heard_up_to, doubted_at) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Shared { known: RwLock::default(), started: Instant::now(), heard_up_to, doubted_at }))
    }
}

impl Revocations {
    fn moment(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.0.started).as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    /// How long ago this node had certainly heard everything; `None`: never.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        let heard = self.0.heard_up_to.load(Ordering::Acquire);
        (heard > 0).then(|| Duration::from_millis(self.moment(Instant::now()).saturating_sub(heard)))
    }

    /// Whether memory may answer.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.age().is_some_and(|age| age < TRUSTED_FOR)
    }

    /// What memory says of a token of this session and account, with this version of the account's authority.
    #[must_use]
    pub fn standing(&self, session: Uuid, account: Uuid, version: i32) -> Standing {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        match known.sessions.get(&session) {
            Some((Fate::Ended, _)) => return Standing::Ended,
            Some((Fate::Doubtful, _)) => return Standing::Ask,
            None => {}
        }
        let is_stale = known.accounts.get(&account).is_some_and(|(newest, _)| *newest != version);
        let is_doubted = self.0.heard_up_to.load(Ordering::Acquire) <= self.0.doubted_at.load(Ordering::Acquire);
        if is_stale || is_doubted || !self.is_trusted() { Standing::Ask } else { Standing::Good }
    }

    /// A transaction of this node is ending these sessions: until the feed says so (or, after a rollback, for as long as memory keeps
    /// it), the database decides. To be called before the commit, so that the answer to whoever ends them is true here at once.
    pub(super) fn doubt(&self, sessions: &[Uuid]) {
        let until = kept_until();
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        for session in sessions {
            known.sessions.entry(*session).or_insert((Fate::Doubtful, until));
        }
    }

    /// A transaction of this node has changed what people may do: until the feed has come round again, the database decides. To be
    /// called between commit and answer.
    pub fn doubt_authority(&self) {
        self.0.doubted_at.fetch_max(self.moment(Instant::now()), Ordering::AcqRel);
    }

    pub(super) fn ended(&self, session: Uuid) {
        let until = kept_until();
        self.0.known.write().unwrap_or_else(PoisonError::into_inner).sessions.insert(session, (Fate::Ended, until));
    }

    pub(super) fn authority_is(&self, account: Uuid, version: i32) {
        let until = kept_until();
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        let newest = known.accounts.entry(account).or_insert((version, until));
        *newest = (newest.0.max(version), until);
    }

    /// The feed is known to be lost: nothing is trusted until it is heard again.
    pub(super) fn distrust(&self) {
        self.0.heard_up_to.store(0, Ordering::Release);
    }

    /// Everything that was said before this moment has been heard.
    pub(super) fn heard_up_to(&self, said: Instant) {
        self.0.heard_up_to.fetch_max(self.moment(said), Ordering::AcqRel);
    }

    /// Forgets what outlived its tokens. Returns how much is left.
    #[must_use]
    pub fn forget_old(&self) -> usize {
        let now = Instant::now();
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        known.sessions.retain(|_, (_, until)| *until > now);
        known.accounts.retain(|_, (_, until)| *until > now);
        known.sessions.shrink_to_fit();
        known.accounts.shrink_to_fit();
        known.sessions.len() + known.accounts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubt_asks_the_database_and_what_was_heard_decides() {
        let memory = Revocations::default();
        let (session, account) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(memory.standing(session, account, 1), Standing::Ask, "nothing was heard yet");
        memory.heard_up_to(Instant::now());
        assert_eq!(memory.standing(session, account, 1), Standing::Good);
        memory.authority_is(account, 2);
        assert_eq!(memory.standing(session, account, 1), Standing::Ask, "its authority is old");
        assert_eq!(memory.standing(session, account, 2), Standing::Good);
        memory.authority_is(account, 1);
        assert_eq!(memory.standing(session, account, 2), Standing::Good, "told in another order");
        memory.doubt(&[session]);
        assert_eq!(memory.standing(session, account, 2), Standing::Ask);
        memory.ended(session);
        memory.doubt(&[session]);
        assert_eq!(memory.standing(session, account, 2), Standing::Ended, "doubt does not take it back");
        memory.distrust();
        assert_eq!(memory.standing(Uuid::from_u128(3), account, 2), Standing::Ask, "a lost feed is not trusted at all");
    }
}
