//! Who is calling: the peer's address, or what trusted proxies say about it. A header from anybody else is only text
//! (practice 4.abuse).
//! Attacks: `tests/suite/attacks/s04_rate_limits/forwarded_for_spoofing.rs`.

use actix_web::dev::ServiceRequest;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The client's address. Established once, in `request_log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientIp(pub IpAddr);

impl ClientIp {
    /// Where the client is, for whoever trusts places: a proxy that does not say who asked, or not to be read, leaves its own address, which is
    /// nobody's.
    #[must_use]
    pub fn place(self, trusted: &[IpNet]) -> IpAddr {
        if trusted.iter().any(|network| network.contains(&self.0)) { Ipv4Addr::UNSPECIFIED.into() } else { self.0 }
    }

    /// What quotas count: the address itself, or for IPv6 its /64, which is what one subscriber gets.
    #[must_use]
    pub fn network(self) -> IpAddr {
        match self.0 {
            IpAddr::V4(_) => self.0,
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        }
    }
}

/// The peer's address; when the peer is trusted, the last address in `X-Forwarded-For` that is not. Each proxy appends the
/// address that it saw, so everything left of the first untrusted one is the client's own invention.
#[must_use]
pub fn client_ip(request: &ServiceRequest, trusted: &[IpNet]) -> ClientIp {
    let peer = request.peer_addr().map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
    // split as bytes: what the client wrote in front may be no text, and must not make the rest of the line unreadable
    let lines = request.headers().get_all("x-forwarded-for").flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let forwarded: Vec<&str> = lines.map(|hop| str::from_utf8(hop).unwrap_or_default()).collect();
    ClientIp(last_untrusted(peer, &forwarded, trusted))
}

fn last_untrusted(peer: IpAddr, forwarded: &[&str], trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let mut client = peer;
    for hop in forwarded.iter().rev() {
        if !is_trusted(client) {
            break;
        }
        match address(hop.trim()) {
            Some(address) => client = address.to_canonical(),
            // a trusted proxy wrote this; what lies behind it cannot be known
            None => break,
        }
    }
    client
}

/// An address, also in brackets or with a port, as some proxies write it. The port is the client's and says nothing: whoever opens more
/// connections must not get more quotas.
fn address(hop: &str) -> Option<IpAddr> {
    let in_brackets = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    hop.parse().ok().or_else(|| Some(hop.parse::<SocketAddr>().ok()?.ip())).or_else(in_brackets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_hops_are_believed() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let client = |peer: &str, forwarded: &[&str]| last_untrusted(peer.parse().unwrap(), forwarded, &trusted).to_string();
        assert_eq!(client("192.0.2.1", &["198.51.100.7"]), "192.0.2.1", "a stranger's header");
        assert_eq!(client("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["6.6.6.6", "198.51.100.7"]), "198.51.100.7", "what the client itself sent stays left");
        assert_eq!(client("10.0.0.1", &["198.51.100.7", " 10.9.9.9"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["198.51.100.7", "rubbish"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn an_address_may_have_a_port_or_brackets() {
        for (hop, expected) in [
            ("203.0.113.7:4711", Some("203.0.113.7")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("[203.0.113.7]", None),
            ("203.0.113.7:", None),
            ("203.0.113.7:65536", None),
            ("[2001:db8::1", None),
            ("unknown", None),
            ("", None),
        ] {
            assert_eq!(address(hop), expected.map(|text| text.parse().unwrap()), "{hop}");
        }
    }

    #[test]
    fn ipv6_counts_by_subscriber() {
        let network = |text: &str| ClientIp(text.parse().unwrap()).network().to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
    }
}
