//! So many places in all, and so many for one network: whoever takes them cannot keep the others out. A place is free again when it is
//! dropped. Practice 4.dos. Attacks: `tests/suite/attacks/s04_rate_limits/connection_flood.rs`,
//! `tests/suite/attacks/s04_rate_limits/request_flood.rs`.

use metrics::Gauge;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Places, shared by all threads.
#[derive(Clone)]
pub struct Places(Arc<Shared>);

struct Shared {
    /// The metric that says how many are taken.
    gauge: fn() -> Gauge,
    in_all: usize,
    of_one: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    in_all: usize,
    by_network: HashMap<IpAddr, usize>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// All are taken.
    InAll,
    /// This network has its share.
    OfOne,
}

/// A place; free again when dropped.
pub struct Place {
    places: Places,
    network: Option<IpAddr>,
}

impl Places {
    /// So many in all and of one network, told by this gauge.
    #[must_use]
    pub fn new(in_all: usize, of_one: usize, gauge: fn() -> Gauge) -> Self {
        Self(Arc::new(Shared { gauge, in_all, of_one, taken: Mutex::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // whole after every step, so also after a panic
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for somebody of this network; `None`: whoever has no share of their own, such as a proxy that speaks for many.
    ///
    /// # Errors
    /// Which limit is reached.
    pub fn take(&self, network: Option<IpAddr>) -> Result<Place, Full> {
        let mut taken = self.lock();
        if taken.in_all >= self.0.in_all {
            return Err(Full::InAll);
        }
        if let Some(network) = network {
            let of_one = taken.by_network.entry(network).or_default();
            if *of_one >= self.0.of_one {
                return Err(Full::OfOne);
            }
            *of_one += 1;
        }
        taken.in_all += 1;
        (self.0.gauge)().increment(1);
        Ok(Place { places: self.clone(), network })
    }

    /// How many are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.lock().in_all
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.in_all -= 1;
        (self.places.0.gauge)().decrement(1);
        if let Some(network) = self.network
            && let Some(of_one) = taken.by_network.get_mut(&network)
        {
            *of_one -= 1;
            if *of_one == 0 {
                taken.by_network.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_network_and_given_back() {
        let places = Places::new(4, 2, Gauge::noop);
        let take = |network: &str| places.take(Some(network.parse().unwrap()));
        let first = take("192.0.2.1").unwrap();
        let _second = take("192.0.2.1").unwrap();
        assert_eq!(take("192.0.2.1").err(), Some(Full::OfOne));
        let _third = take("192.0.2.2").unwrap();
        let shared = places.take(None).unwrap();
        assert_eq!(take("192.0.2.3").err(), Some(Full::InAll));
        drop((shared, first));
        assert_eq!(places.taken(), 2);
        assert!(take("192.0.2.1").is_ok());
        let _shared: Vec<Place> = (0..2).map(|_| places.take(None).unwrap()).collect();
        assert_eq!(places.take(None).err(), Some(Full::InAll), "who has no share counts in all");
    }
}
