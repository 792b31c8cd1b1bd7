//! Who ends TLS, and who is believed about clients.

use crate::settings::reader::Reader;
use ipnet::IpNet;
use std::{net::SocketAddr, path::PathBuf};
use url::Url;

pub(super) const TLS_CERTIFICATE: &str = "PORTCULLIS_TLS_CERTIFICATE_FILE";
pub(super) const TLS_KEY: &str = "PORTCULLIS_TLS_KEY_FILE";

/// Who ends TLS, and with what.
#[derive(Debug, Clone)]
pub enum Tls {
    /// The service, with a certificate made in the data folder.
    Made,
    /// The service, with these.
    Files(TlsFiles),
    /// The service, with a certificate for the host of the public URL that it orders by itself.
    Acme(Acme),
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

/// Which versions are spoken; Mozilla's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// TLS 1.3.
    Modern,
    /// TLS 1.2, too.
    Intermediate,
}

/// Who issues certificates, and to whom.
#[derive(Debug, Clone)]
pub struct Acme {
    /// The authority's directory, a URL.
    pub directory: String,
    /// Whom the authority may write to.
    pub contact: Vec<String>,
    /// Where account and certificate are kept.
    pub folder: PathBuf,
    /// What the authority proves itself with, if no public one knows it.
    pub authority: Option<PathBuf>,
}

/// The clear-text listener.
#[derive(Debug, Clone, Copy)]
pub struct Redirecting {
    /// Where.
    pub listen: SocketAddr,
    /// Whether calls of the API are refused instead of redirected (ASVS 5.0 4.1.2).
    pub refuses_calls: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum EndedBy {
    Files,
    Acme,
    Proxy,
}

pub(super) fn read(read: &mut Reader, is_production: bool, is_needed: bool) -> Tls {
    let ended_by = read.value("PORTCULLIS_TLS", EndedBy::Files, |text| match text {
        "on" => Ok(EndedBy::Files),
        "acme" => Ok(EndedBy::Acme),
        "proxy" => Ok(EndedBy::Proxy),
        _ => Err("must be on, acme or proxy"),
    });
    let acme = acme(read);
    let path = |text: &str| Ok::<_, &str>(PathBuf::from(text));
    match (read.optional(TLS_CERTIFICATE, path), read.optional(TLS_KEY, path), ended_by) {
        (None, None, EndedBy::Proxy) => return Tls::Proxy,
        (None, None, EndedBy::Acme) => return Tls::Acme(acme),
        (Some(certificate), Some(key), EndedBy::Files) => return Tls::Files(TlsFiles { certificate, key }),
        // in production `demand` says so
        (None, None, EndedBy::Files) => {}
        (.., EndedBy::Proxy | EndedBy::Acme) => read.refuse(TLS_CERTIFICATE, "and PORTCULLIS_TLS_KEY_FILE are of no use unless PORTCULLIS_TLS is on"),
        // one alone; what `demand` says of the other is enough
        _ if is_production && is_needed => {}
        _ => read.refuse(TLS_CERTIFICATE, "and PORTCULLIS_TLS_KEY_FILE belong together"),
    }
    Tls::Made
}

fn acme(read: &mut Reader) -> Acme {
    Acme {
        directory: read.value("PORTCULLIS_ACME_DIRECTORY", String::new(), |text| match Url::parse(text) {
            Ok(url) if url.scheme() == "https" => Ok(text.to_owned()),
            _ => Err("must be an https:// URL"),
        }),
        contact: read.list("PORTCULLIS_ACME_CONTACT", |address| {
            address.parse::<lettre::Address>().map(|address| address.to_string()).map_err(|_| "is no address")
        }),
        folder: read.value("PORTCULLIS_ACME_DIR", PathBuf::new(), |text| Ok::<_, &str>(text.into())),
        authority: read.optional("PORTCULLIS_ACME_CA_FILE", |text| Ok::<_, &str>(text.into())),
    }
}

pub(super) fn profile(read: &mut Reader) -> Profile {
    read.value("PORTCULLIS_TLS_PROFILE", Profile::Modern, |text| match text {
        "modern" => Ok(Profile::Modern),
        "intermediate" => Ok(Profile::Intermediate),
        _ => Err("must be modern or intermediate"),
    })
}

pub(super) fn redirecting(read: &mut Reader) -> Option<Redirecting> {
    let listen = read.optional("PORTCULLIS_HTTP_LISTEN", super::optional_address).flatten();
    let refuses_calls = read.value("PORTCULLIS_HTTP_CALLS", true, |text| match text {
        "redirect" => Ok(false),
        "refuse" => Ok(true),
        _ => Err("must be redirect or refuse"),
    });
    listen.map(|listen| Redirecting { listen, refuses_calls })
}

/// Wider than any network of one's own: /8 of IPv4, /16 of IPv6.
pub(super) fn is_too_wide(network: &IpNet) -> bool {
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
