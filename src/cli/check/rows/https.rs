//! HTTPS: who ends TLS and with what, and what else crosses a network.
//! Practices 7.tls, 16.checklist. Tests: `tests/suite/contract/check.rs`.

use super::{Check, Finding, advise, insist};
use crate::{
    cli::check::facts::{Facts, TlsBy},
    platform::keyring::shown,
    server::tls::inspect::{Certificate, Issuer},
};
use std::net::{IpAddr, SocketAddr};
use time::Duration;
use url::{Host, Url};

const CERTIFICATE: &str = "PORTCULLIS_TLS_CERTIFICATE_FILE";
const KEY: &str = "PORTCULLIS_TLS_KEY_FILE";
const PUBLIC_URL: &str = "PORTCULLIS_PUBLIC_URL";

/// Time to notice that nothing renews the certificate.
const RENEWED: Duration = Duration::days(14);

pub(super) const CHECKS: &[Check] = &[
    insist("https.ended", &["PORTCULLIS_TLS", "PORTCULLIS_TRUSTED_PROXIES", "PORTCULLIS_HTTPS_LISTEN"], |facts| match facts.tls {
        Some(TlsBy::Service) => Finding::holds("the service ends TLS itself"),
        Some(TlsBy::Proxy) => Finding::holds("named proxies end TLS and say so; clear text from anybody else is refused"),
        None => Finding::cannot_tell("nobody is named who ends TLS"),
    }),
    advise("https.versions", &["PORTCULLIS_TLS_PROFILE"], |facts| match facts.tls {
        Some(TlsBy::Service) => Finding::holds("TLS 1.3, and 1.2 with AEAD and forward secrecy where the profile takes it"),
        _ => Finding::cannot_tell("a proxy agrees on TLS with clients: look at its configuration"),
    }),
    advise("https.public-url", &[PUBLIC_URL], |facts| match host(facts.text(PUBLIC_URL)) {
        Some(host) if host == "localhost" || host.ends_with(".localhost") => {
            Finding::falls_short(format!("{PUBLIC_URL} leads to {host}: links in letters lead nowhere for whoever reads them"))
        }
        Some(host) => Finding::holds(format!("links and the issuer of tokens are https and at {host}")),
        None => Finding::cannot_tell("there is no public URL"),
    }),
    insist(
        "https.certificate",
        &[CERTIFICATE, KEY, "PORTCULLIS_ACME_DIRECTORY", "PORTCULLIS_ACME_DIR", "PORTCULLIS_ACME_CONTACT", "PORTCULLIS_ACME_CA_FILE"],
        |facts| match &facts.certificate {
            None => Finding::cannot_tell("there are no files of a certificate: it is ordered, or a proxy's"),
            Some(Err(reason)) => Finding::falls_short(reason.as_str()),
            Some(Ok(_)) => Finding::holds("certificate and key can be read and belong together"),
        },
    ),
    advise("https.certificate-time", &[CERTIFICATE], |facts| {
        of_certificate(facts, |certificate| {
            let (left, ends_at) = (certificate.ends_at - facts.now, shown(certificate.ends_at));
            if certificate.starts_at > facts.now {
                return Finding::falls_short(format!("{CERTIFICATE}: the certificate is not good before {}", shown(certificate.starts_at)));
            }
            if left <= Duration::ZERO {
                return Finding::falls_short(format!("{CERTIFICATE}: the certificate ended at {ends_at}"));
            }
            if left < RENEWED {
                return Finding::falls_short(format!(
                    "{CERTIFICATE}: the certificate ends at {ends_at}, in {} days: is anything to renew it?",
                    left.whole_days()
                ));
            }
            Finding::holds(format!("the certificate is good for {} days more", left.whole_days()))
        })
    }),
    advise("https.certificate-name", &[CERTIFICATE, PUBLIC_URL], |facts| {
        of_certificate(facts, |certificate| match host(facts.text(PUBLIC_URL)) {
            Some(host) if certificate.is_for(&host) => Finding::holds(format!("the certificate is for {host}")),
            Some(host) => Finding::falls_short(format!(
                "{CERTIFICATE}: the certificate is for {}, not for {host}: only a proxy in front could take it",
                certificate.names.join(", ")
            )),
            None => Finding::cannot_tell("the public URL has no host"),
        })
    }),
    advise("https.certificate-chain", &[CERTIFICATE], |facts| {
        of_certificate(facts, |certificate| match &certificate.issuer {
            Issuer::Public => Finding::holds("the file holds all that leads to a public authority"),
            Issuer::Itself => Finding::falls_short(format!("{CERTIFICATE}: the certificate vouches for itself")),
            Issuer::Nobody(reason) => Finding::falls_short(format!("{CERTIFICATE}: clients refuse the chain: {reason}")),
            Issuer::Unknown => {
                Finding::cannot_tell("no public authority is reached: clients must know its issuer, or certificates are missing in the file")
            }
            Issuer::OutOfTime => Finding::cannot_tell("a certificate of the chain is not good at this time"),
        })
    }),
    insist("https.clear-text", &["PORTCULLIS_HTTP_LISTEN", "PORTCULLIS_HTTP_CALLS"], |facts| {
        match (facts.text("PORTCULLIS_HTTP_LISTEN"), facts.text("PORTCULLIS_HTTP_CALLS")) {
            ("off", _) => Finding::holds("nobody listens for clear text"),
            (_, "refuse") => Finding::holds("calls in clear text are refused, pages redirected"),
            _ => Finding::holds("clear text is redirected and answers nothing else"),
        }
    }),
    advise("https.operators", &["PORTCULLIS_OPERATOR_LISTEN", "PORTCULLIS_OPERATOR_HOSTS"], |facts| {
        let address: Option<SocketAddr> = facts.text("PORTCULLIS_OPERATOR_LISTEN").parse().ok();
        match address.map(|address| address.ip()) {
            None => Finding::holds("there is no listener for operators"),
            Some(ip) if ip.is_loopback() || is_private(ip) => {
                Finding::holds("health and metrics are in clear text on this machine or a private network only")
            }
            Some(ip) if ip.is_unspecified() => {
                Finding::cannot_tell("health and metrics listen in clear text on every network of this machine: none of them should be public")
            }
            Some(ip) => Finding::falls_short(format!("PORTCULLIS_OPERATOR_LISTEN is {ip}, a public address: health and metrics are in clear text")),
        }
    }),
    insist("https.database", &["DATABASE_URL"], |facts| match &facts.database_is_near {
        None => Finding::cannot_tell("no database is named"),
        Some(true) => Finding::holds("the database is on this machine"),
        // the settings take no other way to it
        Some(false) => Finding::holds("the way to the database is TLS, and its server proves who it is"),
    }),
    insist("https.redis", &["REDIS_URL"], |facts| match facts.settings.as_ref().map(|settings| settings.redis.is_some()) {
        Ok(false) => Finding::holds("there is no Redis"),
        // the settings take no other way to it
        Ok(true) => Finding::holds("Redis is on this machine, or the way to it is TLS"),
        Err(_) => Finding::cannot_tell("the settings cannot be read as a whole"),
    }),
];

fn of_certificate(facts: &Facts, judge: impl FnOnce(&Certificate) -> Finding) -> Finding {
    match &facts.certificate {
        Some(Ok(certificate)) => judge(certificate),
        Some(Err(_)) => Finding::cannot_tell("the certificate cannot be used"),
        None => Finding::cannot_tell("there are no files of a certificate: it is ordered, or a proxy's"),
    }
}

fn host(url: &str) -> Option<String> {
    match Url::parse(url).ok()?.host()? {
        Host::Domain(name) => Some(name.to_owned()),
        address => Some(address.to_string()),
    }
}

/// RFC 1918, RFC 4193, and the links' own.
fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}
