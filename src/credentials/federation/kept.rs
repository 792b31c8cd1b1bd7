//! What an issuer publishes, kept for a while. One fetch at a time, and no more than one in [`REST`] whatever is asked for, so that
//! nobody makes this service ask an issuer over and over by inventing names of keys.
//! Attacks: `tests/suite/attacks/s10_access_control/foreign_tokens.rs`, `tests/suite/attacks/s10_access_control/lying_provider.rs`.

use crate::credentials::federation::FederationError;
use std::sync::{Arc, PoisonError, RwLock};
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;

/// Asked for anew after this time, when it is used.
const FRESH: Duration = Duration::minutes(10);
/// Used for this long while the issuer does not answer: a key that it has withdrawn must not live on by keeping us from asking.
const KEPT: Duration = Duration::hours(1);
/// Between two fetches because something was missing.
const REST: Duration = Duration::seconds(30);
/// After one that failed.
const REST_AFTER_FAILURE: Duration = Duration::seconds(5);

/// A published document, read.
pub(super) struct Kept<T> {
    value: RwLock<Option<(Arc<T>, OffsetDateTime)>>,
    /// When a fetch was last begun. Whoever holds it fetches.
    tried: Mutex<Option<OffsetDateTime>>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { value: RwLock::default(), tried: Mutex::default() }
    }
}

impl<T> Kept<T> {
    /// What is kept, where it is fresh and `is_enough`; else what is fetched. What is returned may still not be enough.
    pub(super) async fn get(
        &self,
        now: OffsetDateTime,
        is_enough: impl Fn(&T) -> bool,
        fetch: impl Future<Output = Result<T, FederationError>>,
    ) -> Result<Arc<T>, FederationError> {
        let usable = |longest: Duration| self.younger_than(longest, now);
        if let Some(value) = usable(FRESH).filter(|value| is_enough(value)) {
            return Ok(value);
        }
        let mut tried = self.tried.lock().await;
        // somebody else may have fetched it meanwhile
        if let Some(value) = usable(FRESH).filter(|value| is_enough(value)) {
            return Ok(value);
        }
        let rest = if usable(KEPT).is_some() { REST } else { REST_AFTER_FAILURE };
        let away = || FederationError::Away(anyhow::anyhow!("it did not answer a moment ago"));
        if tried.is_some_and(|tried| now - tried < rest) {
            return usable(KEPT).ok_or_else(away);
        }
        *tried = Some(now);
        match fetch.await {
            Ok(value) => {
                let value = Arc::new(value);
                *self.value.write().unwrap_or_else(PoisonError::into_inner) = Some((value.clone(), now));
                Ok(value)
            }
            Err(error) => {
                tracing::warn!(%error, "an issuer's published document could not be fetched");
                usable(KEPT).ok_or(error)
            }
        }
    }

    fn younger_than(&self, longest: Duration, now: OffsetDateTime) -> Option<Arc<T>> {
        let value = self.value.read().unwrap_or_else(PoisonError::into_inner);
        value.as_ref().filter(|(_, at)| now - *at < longest).map(|(value, _)| value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    async fn get(kept: &Kept<u32>, at: Duration, wanted: u32, fetched: &AtomicU32, answers: bool) -> Option<u32> {
        let fetch = async {
            let count = fetched.fetch_add(1, Ordering::Relaxed) + 1;
            tokio::task::yield_now().await;
            if answers { Ok(count) } else { Err(FederationError::Away(anyhow::anyhow!("away"))) }
        };
        kept.get(START + at, |value| *value >= wanted, fetch).await.ok().map(|value| *value)
    }

    #[tokio::test]
    async fn one_fetch_serves_everybody_until_it_is_old() {
        let (kept, fetched) = (Kept::default(), AtomicU32::new(0));
        let at_once = (0..50).map(|_| get(&kept, Duration::ZERO, 0, &fetched, true));
        assert!(futures_util::future::join_all(at_once).await.into_iter().all(|value| value == Some(1)));
        assert_eq!(get(&kept, FRESH - Duration::SECOND, 0, &fetched, true).await, Some(1));
        assert_eq!(get(&kept, FRESH, 0, &fetched, true).await, Some(2));
    }

    #[tokio::test]
    async fn what_is_missing_is_asked_for_once_in_a_while() {
        let (kept, fetched) = (Kept::default(), AtomicU32::new(0));
        for second in 0..60 {
            get(&kept, Duration::seconds(second), u32::MAX, &fetched, true).await;
        }
        assert_eq!(fetched.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn an_old_one_does_while_the_issuer_is_away_but_not_for_long() {
        let (kept, fetched) = (Kept::default(), AtomicU32::new(0));
        get(&kept, Duration::ZERO, 0, &fetched, true).await;
        assert_eq!(get(&kept, KEPT - Duration::SECOND, 0, &fetched, false).await, Some(1));
        assert_eq!(get(&kept, KEPT + Duration::MINUTE, 0, &fetched, false).await, None);
        // nobody waits for it again at once
        assert_eq!(get(&kept, KEPT + Duration::MINUTE, 0, &fetched, false).await, None);
        assert_eq!(fetched.load(Ordering::Relaxed), 3);
    }
}
