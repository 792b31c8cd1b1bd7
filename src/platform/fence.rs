//! Which addresses a name of somebody else's choice may lead to: those of the public network, and what operators let in besides. All
//! others lead inwards (to this machine, to its network, to a cloud's metadata service) or to nobody.
//!
//! IPv4: everything but IANA's special-purpose blocks (RFC 6890, <https://www.iana.org/assignments/iana-ipv4-special-registry>), multicast
//! (RFC 5771) and what is reserved. IPv6: only 2000::/3, all that is given out as global unicast (RFC 4291 §2.4), without the special-purpose
//! blocks in it (<https://www.iana.org/assignments/iana-ipv6-special-registry>): so mapped and translated IPv4 (RFC 4291 §2.5.5, RFC 6052,
//! RFC 8215), unique-local, link-local, site-local and multicast need no rules of their own. Blocks that IANA calls globally reachable are refused
//! as well where no receiver lives in them (anycast of protocols, AS112).
//! Practice 11.https-only. Attacks: `tests/suite/attacks/s11_webhooks/request_forgery.rs`.

use futures_util::future::BoxFuture;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};
use url::{Host, Url};

/// The longest address, in bytes.
pub const LONGEST_URL: usize = 500;
/// Most addresses of a name that are looked at; a name with more is refused.
const MOST_ADDRESSES: usize = 32;
/// Below it only 443 is asked: other services listen there.
const FIRST_FREE_PORT: u16 = 1024;

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

const NOT_PUBLIC_V4: [Ipv4Net; 19] = [
    v4(0, 0, 0, 0, 8),       // "this network"
    v4(10, 0, 0, 0, 8),      // private
    v4(100, 64, 0, 0, 10),   // shared with a carrier's NAT
    v4(127, 0, 0, 0, 8),     // loopback
    v4(169, 254, 0, 0, 16),  // link-local, and the metadata of clouds
    v4(172, 16, 0, 0, 12),   // private
    v4(192, 0, 0, 0, 24),    // protocol assignments
    v4(192, 0, 2, 0, 24),    // documentation
    v4(192, 31, 196, 0, 24), // AS112
    v4(192, 52, 193, 0, 24), // AMT relays
    v4(192, 88, 99, 0, 24),  // 6to4 relays
    v4(192, 168, 0, 0, 16),  // private
    v4(192, 175, 48, 0, 24), // AS112
    v4(198, 18, 0, 0, 15),   // benchmarking
    v4(198, 51, 100, 0, 24), // documentation
    v4(203, 0, 113, 0, 24),  // documentation
    v4(224, 0, 0, 0, 4),     // multicast
    v4(240, 0, 0, 0, 4),     // reserved, and broadcast
    // not IANA's: Azure's WireServer, which hands out settings and secrets of the machine that asks
    v4(168, 63, 129, 16, 32),
];

/// Where clouds hand out settings and credentials of the machine that asks: let in by nobody, however wide a network somebody names. Link-local
/// (nearly all), Azure's WireServer, Alibaba's, Oracle's older one; in IPv6 link-local and those of AWS, Google, Oracle, Scaleway, Akamai and
/// Alibaba.
const METADATA: [IpNet; 11] = [
    IpNet::V4(v4(169, 254, 0, 0, 16)),
    IpNet::V4(v4(168, 63, 129, 16, 32)),
    IpNet::V4(v4(100, 100, 100, 200, 32)),
    IpNet::V4(v4(192, 0, 0, 192, 32)),
    IpNet::V6(v6(0xfe80, 0, 0, 10)),
    IpNet::V6(v6(0xfd00, 0xec2, 0, 48)),
    IpNet::V6(v6(0xfd20, 0xce, 0, 48)),
    IpNet::V6(v6(0xfd00, 0xc1, 0, 48)),
    IpNet::V6(v6(0xfd00, 0x42, 0, 48)),
    IpNet::V6(v6(0xfd00, 0xa9fe, 0xa9fe, 48)),
    IpNet::V6(v6(0xfd00, 0x100, 0, 48)),
];

const GLOBAL_UNICAST: Ipv6Net = v6(0x2000, 0, 0, 3);

const NOT_PUBLIC_V6: [Ipv6Net; 5] = [
    v6(0x2001, 0, 0, 23),         // protocol assignments: Teredo, benchmarking, ORCHID
    v6(0x2001, 0xdb8, 0, 32),     // documentation
    v6(0x2002, 0, 0, 16),         // 6to4: carries any IPv4 address
    v6(0x2620, 0x4f, 0x8000, 48), // AS112
    v6(0x3fff, 0, 0, 20),         // documentation
];

/// Whether somebody out there may live at this address.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !NOT_PUBLIC_V4.iter().any(|block| block.contains(&address)),
        IpAddr::V6(address) => GLOBAL_UNICAST.contains(&address) && !NOT_PUBLIC_V6.iter().any(|block| block.contains(&address)),
    }
}

/// An IPv4 address in the form of an IPv6 one (mapped, or for a translator: RFC 6052 §2.1) leads to the same.
fn leads_to(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(translated) if translated.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0] => {
            let [.., a, b, c, d] = translated.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        address => address.to_canonical(),
    }
}

/// Finds the addresses of a name. The machine's own way is [`System`]; tests bring theirs.
pub trait Lookup: Send + Sync {
    /// All addresses of the name.
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// As the machine is set up to.
pub struct System;

impl Lookup for System {
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let name = name.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 443)).await?.map(|found| found.ip()).collect()) })
    }
}

/// Nobody is called at this address. Says neither whether the name exists nor where it leads: whoever chose it must not explore our network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("leads to no public address")]
pub struct Barred;

/// The rule, and how names are looked up. Cheap to clone.
#[derive(Clone)]
pub struct Fence(Arc<Inner>);

struct Inner {
    let_in: Vec<IpNet>,
    lookup: Arc<dyn Lookup>,
}

impl Fence {
    /// Lets public addresses through, and those of these networks.
    #[must_use]
    pub fn new(let_in: Vec<IpNet>, lookup: Arc<dyn Lookup>) -> Self {
        Self(Arc::new(Inner { let_in, lookup }))
    }

    fn admits(&self, address: IpAddr) -> bool {
        is_public(address) || self.is_let_in(address)
    }

    fn is_let_in(&self, address: IpAddr) -> bool {
        let contains = |networks: &[IpNet], address: IpAddr| networks.iter().any(|network| network.contains(&address));
        contains(&self.0.let_in, address) && !contains(&METADATA, leads_to(address))
    }

    /// Where a name leads: only if every address of it is one to call, since any of them could be taken.
    ///
    /// # Errors
    /// [`Barred`].
    pub async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Barred> {
        let found = self.0.lookup.lookup(name).await.map_err(|_| Barred)?;
        let is_fine = (1..=MOST_ADDRESSES).contains(&found.len()) && found.iter().all(|address| self.admits(*address));
        if is_fine { Ok(found) } else { Err(Barred) }
    }

    /// The same for a host that may be an address itself, which nothing looks up.
    ///
    /// # Errors
    /// [`Barred`].
    pub async fn check(&self, url: &Url) -> Result<(), Barred> {
        let is_admitted = match url.host() {
            Some(Host::Domain(name)) => self.addresses(name).await.is_ok(),
            Some(Host::Ipv4(address)) => self.admits(address.into()),
            Some(Host::Ipv6(address)) => self.admits(address.into()),
            None => false,
        };
        if is_admitted { Ok(()) } else { Err(Barred) }
    }
}

/// Reads an address that somebody wants called: over TLS, at port 443 or above 1023, with nothing in it but host, port, path and query. The
/// parser (WHATWG's) writes numbers in any notation as the IPv4 address that they are, and names in their IDNA form.
///
/// # Errors
/// A reason for whoever named it.
pub fn address(text: &str) -> Result<Url, &'static str> {
    const NO_ADDRESS: &str = "is no https:// address";
    if text.len() > LONGEST_URL || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be at most 500 visible ASCII characters");
    }
    let url = Url::parse(text).map_err(|_| NO_ADDRESS)?;
    // the parser reads `https:host` and backslashes, too
    if url.scheme() != "https" || !text.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://")) || text.contains('\\') {
        return Err(NO_ADDRESS);
    }
    if !url.username().is_empty() || url.password().is_some() || text[8..].split(['/', '?', '#']).next().is_some_and(|host| host.contains('@')) {
        return Err("must not name a user");
    }
    if url.fragment().is_some() {
        return Err("must have no fragment");
    }
    if url.as_str().len() > LONGEST_URL {
        return Err("must be at most 500 visible ASCII characters");
    }
    if url.port().is_some_and(|port| port < FIRST_FREE_PORT) {
        return Err("must be at port 443, or at 1024 or above");
    }
    match url.host() {
        // with the dot it would be another name to certificates
        Some(Host::Domain(name)) if name.ends_with('.') => Err("must not end its host with a dot"),
        Some(_) => Ok(url),
        None => Err(NO_ADDRESS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_network_is_public() {
        for public in ["1.1.1.1", "8.8.8.8", "93.184.215.14", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "198.17.255.255"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for public in ["2606:4700:4700::1111", "2a00:1450:4001:80b::200e", "2001:200::1", "2001:4860:4860::8888", "3ffe:ffff::1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn an_address_to_call_has_nothing_in_it_but_what_is_needed() {
        for (text, read) in [
            ("https://hooks.example/a?b=c", "https://hooks.example/a?b=c"),
            ("HTTPS://HOOKS.example", "https://hooks.example/"),
            ("https://hooks.example:443/", "https://hooks.example/"),
            ("https://hooks.example:8443/x", "https://hooks.example:8443/x"),
            ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
            ("https://0x7f.1/", "https://127.0.0.1/"),
        ] {
            assert_eq!(address(text).unwrap().as_str(), read);
        }
        for wrong in [
            "",
            "hooks.example",
            "http://hooks.example",
            "https:hooks.example",
            "https:/hooks.example",
            "https:\\\\hooks.example",
            "https://",
            "ftp://hooks.example",
            "file:///etc/passwd",
            "https://u@hooks.example",
            "https://u:p@hooks.example",
            "https://@hooks.example",
            "https://hooks.example/#x",
            "https://hooks.example./",
            "https://hooks.example:25/",
            "https://hooks.example:0/",
            "https://a b.example/",
            "https://bücher.example/",
            "https://hooks.example/\n",
            "https://xn--a/",
            "https://[::1%25eth0]/",
            "https://1.2.3.4.5/",
        ] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
        assert!(address(&format!("https://hooks.example/{}", "x".repeat(500))).is_err());
    }
}
