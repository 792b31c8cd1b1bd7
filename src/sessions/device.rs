//! What people recognise their devices by: a coarse name and as much of the address as the settings allow. Both are the
//! client's own word and decide nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How much of an address the device list keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressDetail {
    /// All of it.
    Full,
    /// The network: /24 of IPv4, /48 of IPv6.
    Network,
    /// Nothing.
    Nothing,
}

impl AddressDetail {
    /// What is kept of an address.
    #[must_use]
    pub fn of(self, address: IpAddr) -> Option<String> {
        match (self, address) {
            (Self::Nothing, _) => None,
            (Self::Full, address) => Some(address.to_string()),
            (Self::Network, IpAddr::V4(address)) => Some(Ipv4Addr::from_bits(address.to_bits() >> 8 << 8).to_string()),
            (Self::Network, IpAddr::V6(address)) => Some(Ipv6Addr::from_bits(address.to_bits() >> 80 << 80).to_string()),
        }
    }
}

/// The device of a session.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its coarse name.
    pub name: String,
    /// What is kept of its address.
    pub address: Option<String>,
}

/// In this order: each browser also claims to be those after it.
const BROWSERS: [(&str, &str); 10] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
    ("curl", "curl"),
    ("okhttp", "an app"),
];

const SYSTEMS: [(&str, &str); 7] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];

/// "Firefox on Linux": names from a closed list only, so that nobody can write to somebody's device list or letters.
#[must_use]
pub fn coarse_name(user_agent: &str) -> String {
    let first = |list: &[(&str, &'static str)]| list.iter().find(|(part, _)| user_agent.contains(part)).map(|(_, name)| *name);
    match (first(&BROWSERS), first(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "an unknown device".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_list_whatever_is_claimed() {
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
        let edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0";
        assert_eq!(coarse_name(firefox), "Firefox on Linux");
        assert_eq!(coarse_name(edge), "Edge on Windows");
        assert_eq!(coarse_name("curl/8.11"), "curl");
        assert_eq!(coarse_name("<script>call 555-1234 at once</script>"), "an unknown device");
    }

    #[test]
    fn addresses_are_cut_to_their_network() {
        let of = |detail: AddressDetail, text: &str| detail.of(text.parse().unwrap());
        assert_eq!(of(AddressDetail::Network, "203.0.113.77").as_deref(), Some("203.0.113.0"));
        assert_eq!(of(AddressDetail::Network, "2001:db8:1:2:3::4").as_deref(), Some("2001:db8:1::"));
        assert_eq!(of(AddressDetail::Full, "203.0.113.77").as_deref(), Some("203.0.113.77"));
        assert_eq!(of(AddressDetail::Nothing, "203.0.113.77"), None);
    }
}
