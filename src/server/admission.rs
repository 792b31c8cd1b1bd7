//! So many connections in all, and so many of one client network: a flood of them is turned away before it costs a handshake, and
//! no client can keep the others out by holding places. Practice 4.dos.
//! Attacks: `tests/suite/attacks/s04_rate_limits/connection_flood.rs`.

use crate::{
    edge::client_ip::ClientIp,
    platform::places::{Place, Places},
    settings::Connections,
};
use ipnet::IpNet;
use std::net::IpAddr;

/// The connections of a listener, over all its threads.
#[derive(Clone)]
pub(super) struct Admission {
    places: Places,
    /// Proxies speak for many clients.
    exempt: Vec<IpNet>,
}

impl Admission {
    pub(super) fn new(limits: &Connections, exempt: Vec<IpNet>) -> Self {
        Self { places: Places::new(limits.total, limits.of_address, || metrics::gauge!("portcullis_connections_open")), exempt }
    }

    /// A place for a client, or `None` where it has enough of them or there is none left.
    pub(super) fn admit(&self, client: IpAddr) -> Option<Place> {
        let client = client.to_canonical();
        let has_share = !self.exempt.iter().any(|proxy| proxy.contains(&client));
        let place = self.places.take(has_share.then(|| ClientIp(client).network()));
        if place.is_err() {
            metrics::counter!("portcullis_connections_refused_total").increment(1);
        }
        place.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_network_is_one_client_and_a_proxy_is_many() {
        let second = Duration::from_secs(1);
        let limits =
            Connections { total: 5, of_address: 2, requests: 1, streams: 1, head: 4096, fields: 16, handshake: second, idle: second, stall: second };
        let admission = Admission::new(&limits, vec!["10.0.0.0/8".parse().unwrap()]);
        let admit = |client: &str| admission.admit(client.parse().unwrap());
        let _own = (admit("2001:db8::1").unwrap(), admit("2001:db8::2").unwrap());
        assert!(admit("2001:db8::3").is_none(), "one /64 is one client");
        let _proxied: Vec<Place> = (0..3).map(|_| admit("::ffff:10.0.0.1").unwrap()).collect();
        assert!(admit("192.0.2.1").is_none(), "there is no place left");
    }
}
