//! TLS: rustls, TLS 1.2 and 1.3 or 1.3 alone, hybrid post-quantum key exchange preferred, sessions resumed by tickets that every
//! server thread can read. Early data is never taken: it could be replayed.
//! Practices 7.tls, 7.ciphers, 7.http2, 7.auto-certificates. Attacks: `tests/suite/attacks/s07_tls/`.

pub mod acme;
mod identity;
pub mod inspect;
mod reload;

pub use identity::{Identity, Issued, authority_certificate, issue_once};

use super::http2;
use crate::{
    platform::clock::Clock,
    settings::{Profile, TlsFiles},
};
use acme::Acme;
use reload::Current;
use rustls::{ServerConfig, crypto::aws_lc_rs, server::ResolvesServerCert, version};
use std::{future::Future, pin::Pin, sync::Arc};
use time::OffsetDateTime;

/// Where the certificate comes from.
pub enum Certificates {
    /// Made at the start, and the same until the end.
    Fixed(Identity),
    /// Files that may be replaced while the service runs.
    Files(TlsFiles),
    /// A certificate authority, by ACME (RFC 8555).
    Acme(Acme),
}

/// TLS that is ready to serve.
pub(super) struct Ready {
    /// The listener's configuration.
    pub config: Arc<ServerConfig>,
    /// Keeps the certificate fresh for as long as it runs.
    pub upkeep: Pin<Box<dyn Future<Output = ()>>>,
    /// Answers to challenges over HTTP.
    pub challenges: Option<acme::Challenges>,
}

impl Certificates {
    /// # Errors
    /// When a certificate cannot be used.
    pub(super) fn prepare(self, profile: Profile, has_http: bool, clock: &Clock) -> anyhow::Result<Ready> {
        Ok(match self {
            Self::Fixed(identity) => {
                let resolver = Current::new(identity)?;
                Ready { config: config(profile, resolver, &[])?, upkeep: Box::pin(std::future::pending()), challenges: None }
            }
            Self::Files(files) => {
                let resolver = Current::new(Identity::from_files(&files)?)?;
                let upkeep = reload::watch(files, Arc::clone(&resolver), clock.clone());
                Ready { config: config(profile, resolver, &[])?, upkeep: Box::pin(upkeep), challenges: None }
            }
            Self::Acme(acme) => {
                let ordered = acme.order(has_http)?;
                let config = config(profile, ordered.resolver, acme::PROTOCOLS)?;
                Ready { config, upkeep: ordered.upkeep, challenges: ordered.challenges }
            }
        })
    }
}

/// The listener's configuration. rustls has no weak suite to leave out: AEAD with forward secrecy only.
///
/// # Errors
/// When the system has no randomness for the key of tickets.
pub fn config(profile: Profile, certificates: Arc<dyn ResolvesServerCert>, more_protocols: &[&str]) -> anyhow::Result<Arc<ServerConfig>> {
    let versions = match profile {
        Profile::Modern => &[&version::TLS13][..],
        Profile::Intermediate => &[&version::TLS13, &version::TLS12],
    };
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider())).with_protocol_versions(versions)?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(certificates);
    config.alpn_protocols = http2::PROTOCOLS.iter().chain(more_protocols).map(|protocol| protocol.as_bytes().to_vec()).collect();
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(Arc::new(config))
}

/// For alerts: a certificate that nobody renews ends the service.
fn note_end(ends_at: OffsetDateTime) {
    #[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
    metrics::gauge!("portcullis_certificate_expires_seconds").set(ends_at.unix_timestamp() as f64);
}
