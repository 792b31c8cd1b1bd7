//! So many connections in all, and so many of one client network: a flood of them is turned away before it costs a handshake, and
//! no client can keep the others out by holding places. Practice 4.dos.
//! Attacks: `tests/suite/attacks/s04_rate_limits/connection_flood.rs`.

use crate::edge::client_ip::ClientIp;
use ipnet::IpNet;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// The connections of a listener, over all its threads.
#[derive(Clone)]
pub(super) struct Admission(Arc<Shared>);

struct Shared {
    /// In all.
    limit: usize,
    /// Of one client network.
    limit_of_one: usize,
    /// Proxies speak for many clients.
    exempt: Vec<IpNet>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    in_all: usize,
    by_network: HashMap<IpAddr, usize>,
}

/// A place; free again when dropped.
pub(super) struct Place {
    admission: Admission,
    network: Option<IpAddr>,
}

impl Admission {
    pub(super) fn new(limit: usize, limit_of_one: usize, exempt: Vec<IpNet>) -> Self {
        Self(Arc::new(Shared { limit, limit_of_one, exempt, open: Mutex::default() }))
    }

    /// A place for a client, or `None` where it has enough of them or there is none left.
    pub(super) fn admit(&self, client: IpAddr) -> Option<Place> {
        let client = client.to_canonical();
        let network = (!self.0.exempt.iter().any(|proxy| proxy.contains(&client))).then(|| ClientIp(client).network());
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.in_all >= self.0.limit {
            return None;
        }
        if let Some(network) = network {
            let of_one = open.by_network.entry(network).or_default();
            if *of_one >= self.0.limit_of_one {
                return None;
            }
            *of_one += 1;
        }
        open.in_all += 1;
        metrics::gauge!("portcullis_connections_open").increment(1);
        Some(Place { admission: self.clone(), network })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.admission.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.in_all -= 1;
        metrics::gauge!("portcullis_connections_open").decrement(1);
        if let Some(network) = self.network
            && let Some(of_one) = open.by_network.get_mut(&network)
        {
            *of_one -= 1;
            if *of_one == 0 {
                open.by_network.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_network_and_given_back() {
        let admission = Admission::new(4, 2, vec!["10.0.0.0/8".parse().unwrap()]);
        let admit = |client: &str| admission.admit(client.parse().unwrap());
        let first = admit("2001:db8::1").unwrap();
        let _second = admit("2001:db8::2").unwrap();
        assert!(admit("2001:db8::3").is_none(), "one /64 is one client");
        let _third = admit("192.0.2.1").unwrap();
        let fourth = admit("::ffff:10.0.0.1").unwrap();
        assert!(admit("192.0.2.2").is_none(), "there is no place left");
        drop(fourth);
        drop(first);
        assert!(admit("2001:db8::3").is_some());
        let _proxied: Vec<Place> = (0..2).map(|_| admit("10.0.0.1").unwrap()).collect();
        assert!(admit("10.0.0.1").is_none(), "proxies count in all");
    }
}
