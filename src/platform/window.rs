//! Counting in windows of time, in memory, for when there is nowhere else to count. The same rules, word for word, are kept by
//! Postgres (`spend_quotas` in the migrations) and by Redis (`src/edge/rate_limit/spend.lua`).
//!
//! A window is a list of parts, each with the time at which it began and how often was counted in it; a part counts for
//! [`Rule::keep_ms`] from its beginning. A fixed window has one part, which its first count begins. A sliding window has a part a slice of
//! [`SLICES`] to the window, and keeps each for a window and a slice. So it never lets more than its number through in any stretch of
//! time as long as the window, and forgets an attempt at most a fifteenth of the window late: an exact log would keep a time for each
//! attempt, and the usual two weighted buckets let almost twice the number through when the second half drips in.
//! Practices 4.fixed-window, 4.sliding-window. Attacks: `tests/suite/attacks/s04_rate_limits/boundary_burst.rs`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Slices of a sliding window.
pub const SLICES: i64 = 15;

/// What is counted: of which kind, for whom.
pub type Key = (&'static str, [u8; 32]);

/// How often, in which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The most that is let through.
    pub number: u32,
    /// For how long a part counts, in milliseconds.
    pub keep_ms: i64,
    /// A slice in milliseconds; 0: a fixed window.
    pub grain_ms: i64,
}

impl Rule {
    /// A window that begins with the first count.
    #[must_use]
    pub fn fixed(number: u32, window_ms: i64) -> Self {
        Self { number, keep_ms: window_ms, grain_ms: 0 }
    }

    /// A window that ends now, whenever that is.
    #[must_use]
    pub fn sliding(number: u32, window_ms: i64) -> Self {
        let grain_ms = (window_ms / SLICES).max(1);
        Self { number, keep_ms: window_ms + grain_ms, grain_ms }
    }
}

/// What became of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// How much is used, with this count if it was made.
    pub used: u32,
    /// This key had no room; none of the call's keys was counted.
    pub is_over: bool,
    /// The part that it was counted in, in milliseconds since 1970.
    pub start_ms: i64,
    /// When there is room again.
    pub frees_at_ms: i64,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    start_ms: i64,
    hits: u32,
    ends_ms: i64,
}

/// Counters of this process, for so many keys at most.
#[derive(Clone)]
pub struct Windows {
    keys: Arc<Mutex<HashMap<Key, Vec<Part>>>>,
    most: usize,
}

impl Windows {
    /// None yet, and never more than `most` keys.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { keys: Arc::default(), most }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Vec<Part>>> {
        // whole after every step, so also after a panic
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one under each key, or where one of them is used up under none. `None`: there is no room for more keys.
    #[must_use]
    pub fn spend(&self, asked: &[(Key, Rule)], now_ms: i64) -> Option<Vec<Counted>> {
        let mut keys = self.lock();
        if keys.len() + asked.len() > self.most {
            forget_old(&mut keys, now_ms);
            if keys.len() + asked.len() > self.most {
                return None;
            }
        }
        let mut counted: Vec<Counted> = asked.iter().map(|(key, rule)| look(keys.entry(*key).or_default(), *rule, now_ms)).collect();
        if counted.iter().any(|one| one.is_over) {
            return Some(counted);
        }
        for ((key, rule), one) in asked.iter().zip(&mut counted) {
            one.used += 1;
            let parts = keys.entry(*key).or_default();
            match parts.last_mut().filter(|part| part.start_ms == one.start_ms) {
                Some(part) => part.hits += 1,
                None => parts.push(Part { start_ms: one.start_ms, hits: 1, ends_ms: one.start_ms + rule.keep_ms }),
            }
        }
        Some(counted)
    }

    /// Takes one count back out of the part that it was made in, if that still counts.
    pub fn give_back(&self, key: &Key, start_ms: i64) {
        if let Some(part) = self.lock().get_mut(key).and_then(|parts| parts.iter_mut().find(|part| part.start_ms == start_ms)) {
            part.hits = part.hits.saturating_sub(1);
        }
    }

    /// Forgets a key.
    pub fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    /// Forgets what does not count any more, and gives its memory back.
    pub fn forget_old(&self, now_ms: i64) {
        forget_old(&mut self.lock(), now_ms);
    }
}

fn forget_old(keys: &mut HashMap<Key, Vec<Part>>, now_ms: i64) {
    keys.retain(|_, parts| parts.iter().any(|part| part.ends_ms > now_ms));
    keys.shrink_to_fit();
}

fn look(parts: &mut Vec<Part>, rule: Rule, now_ms: i64) -> Counted {
    parts.retain(|part| part.start_ms + rule.keep_ms > now_ms);
    parts.sort_by_key(|part| part.start_ms);
    let used: u32 = parts.iter().map(|part| part.hits).sum();
    let start_ms = if rule.grain_ms > 0 { now_ms - now_ms % rule.grain_ms } else { parts.first().map_or(now_ms, |part| part.start_ms) };
    // when enough of the oldest parts are over that one more fits
    let mut gone = 0;
    let last = parts.iter().find(|part| {
        gone += part.hits;
        i64::from(gone) > i64::from(used) - i64::from(rule.number)
    });
    Counted { used, is_over: used >= rule.number, start_ms, frees_at_ms: last.map_or(now_ms, |part| part.start_ms + rule.keep_ms) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = ("a", [1; 32]);
    const OTHER: Key = ("b", [2; 32]);

    #[test]
    fn a_sliding_window_never_lets_more_than_its_number_through_and_forgets_a_slice_late_at_most() {
        let (windows, rule) = (Windows::new(10), Rule::sliding(10, 15_000));
        let mut passed: Vec<i64> = Vec::new();
        // ever denser, over and over the ends of slices
        for now in (0..200_000).step_by(137) {
            let counted = windows.spend(&[(KEY, rule)], now).unwrap()[0];
            if counted.is_over {
                assert!(counted.frees_at_ms > now && counted.frees_at_ms <= now + rule.keep_ms);
                let exact = passed.iter().filter(|&&then| then > now - rule.keep_ms).count();
                assert!(exact >= 10, "refused with {exact} in a window and a slice");
            } else {
                passed.push(now);
            }
            let in_window = passed.iter().filter(|&&then| then > now - 15_000).count();
            assert!(in_window <= 10, "{in_window} at {now}");
        }
        assert!(passed.len() >= 120, "{}", passed.len());
    }

    #[test]
    fn whoever_waits_as_told_gets_through() {
        for rule in [Rule::fixed(3, 15_000), Rule::sliding(3, 15_000)] {
            let (windows, mut now) = (Windows::new(10), 7_001);
            for _ in 0..40 {
                let counted = windows.spend(&[(KEY, rule)], now).unwrap()[0];
                now = if counted.is_over { counted.frees_at_ms } else { now + 61 };
                assert!(!counted.is_over || !windows.spend(&[(KEY, rule)], now).unwrap()[0].is_over);
            }
        }
    }

    #[test]
    fn all_or_nothing_is_counted_and_given_back() {
        let windows = Windows::new(10);
        let (one, two) = ((KEY, Rule::fixed(1, 1000)), (OTHER, Rule::fixed(5, 1000)));
        assert!(windows.spend(&[one, two], 0).unwrap().iter().all(|counted| !counted.is_over));
        let refused = windows.spend(&[one, two], 1).unwrap();
        assert!(refused[0].is_over && !refused[1].is_over && refused[1].used == 1);
        windows.give_back(&KEY, refused[0].start_ms);
        assert_eq!(windows.spend(&[one, two], 2).unwrap()[1].used, 2);
        windows.forget(&OTHER);
        assert_eq!(windows.spend(&[two], 3).unwrap()[0].used, 1);
    }

    #[test]
    fn memory_is_bounded_and_given_back() {
        let windows = Windows::new(2);
        let key = |n: u8| ("a", [n; 32]);
        let spend = |n: u8, now| windows.spend(&[(key(n), Rule::fixed(5, 1000))], now);
        assert!(spend(0, 0).is_some() && spend(1, 0).is_some() && spend(2, 999).is_none());
        assert!(spend(2, 1000).is_some(), "old keys make room");
        windows.forget_old(5000);
        assert!(windows.lock().is_empty());
    }
}
