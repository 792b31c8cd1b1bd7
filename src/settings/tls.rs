//! Who ends TLS, and who is believed about clients.

use crate::settings::reader::Reader;
use ipnet::IpNet;
use std::path::PathBuf;

pub(super) const TLS_CERTIFICATE: &str = "PORTCULLIS_TLS_CERTIFICATE_FILE";
pub(super) const TLS_KEY: &str = "PORTCULLIS_TLS_KEY_FILE";

/// Who ends TLS, and with what.
#[derive(Debug, Clone)]
pub enum Tls {
    /// The service, with a certificate made in the data folder.
    Made,
    /// The service, with these.
    Files(TlsFiles),
    /// A trusted proxy in front.
    Proxy,
}

/// Where certificate and key lie.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Certificate chain, PEM.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

pub(super) fn read(read: &mut Reader, is_production: bool, is_needed: bool) -> Tls {
    let is_proxy = read.value("PORTCULLIS_TLS", false, |text| match text {
        "on" => Ok(false),
        "proxy" => Ok(true),
        _ => Err("must be on or proxy"),
    });
    let path = |text: &str| Ok::<_, &str>(PathBuf::from(text));
    match (read.optional(TLS_CERTIFICATE, path), read.optional(TLS_KEY, path)) {
        (None, None) if is_proxy => return Tls::Proxy,
        (Some(certificate), Some(key)) if !is_proxy => return Tls::Files(TlsFiles { certificate, key }),
        // in production `demand` says so
        (None, None) => {}
        _ if is_proxy => read.refuse(TLS_CERTIFICATE, "and PORTCULLIS_TLS_KEY_FILE are of no use while PORTCULLIS_TLS is proxy"),
        // one alone; what `demand` says of the other is enough
        _ if is_production && is_needed => {}
        _ => read.refuse(TLS_CERTIFICATE, "and PORTCULLIS_TLS_KEY_FILE belong together"),
    }
    Tls::Made
}

/// Wider than any network of one's own: /8 of IPv4, /16 of IPv6.
fn is_too_wide(network: &IpNet) -> bool {
    match network {
        IpNet::V4(network) => network.prefix_len() < 8,
        IpNet::V6(network) if network.network().to_ipv4_mapped().is_some() => network.prefix_len() < 96 + 8,
        IpNet::V6(network) => network.prefix_len() < 16,
    }
}

pub(super) fn trusted_proxies(read: &mut Reader, tls: &Tls, is_production: bool) -> Vec<IpNet> {
    const NAME: &str = "PORTCULLIS_TRUSTED_PROXIES";
    let networks = read.list(NAME, |item| item.parse::<IpNet>().map_err(|_| "is no network like 10.0.0.0/8"));
    if matches!(tls, Tls::Proxy) && networks.is_empty() {
        read.refuse(NAME, "must name the proxy while PORTCULLIS_TLS is proxy: clear text from anybody else is refused");
    }
    if is_production && IpNet::aggregate(&networks).iter().any(is_too_wide) {
        read.refuse(NAME, "trusts half the world: anyone in it could claim any address");
    }
    networks
}
