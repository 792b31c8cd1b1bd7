//! What can be said of a certificate before anybody connects: for which names and how long it is good, and whether clients will know who
//! issued it. Practice 7.tls. Tests: `tests/suite/contract/check.rs`.

use super::Identity;
use anyhow::Context;
use rustls::{
    CertificateError, Error, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::sync::Arc;
use time::OffsetDateTime;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName};

/// A server's certificate, as its clients will meet it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The names in it (RFC 9525 looks at no others): `*` stands for one label.
    pub names: Vec<String>,
    /// It is good from then on.
    pub starts_at: OffsetDateTime,
    /// It is good until then.
    pub ends_at: OffsetDateTime,
    /// Who vouches for it.
    pub issuer: Issuer,
}

/// Who vouches for a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issuer {
    /// A public authority, by what the file holds.
    Public,
    /// Itself.
    Itself,
    /// Somebody who is no public authority, or is one, and the certificates in between are missing.
    Unknown,
    /// Nobody can say at this time: it has not begun or has ended.
    OutOfTime,
    /// Nobody: the chain does not hold together, or is not for servers.
    Nobody(String),
}

impl Certificate {
    /// Looks at what the service proves itself with, as a client with the public authorities (Mozilla's) would at this time.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(identity: &Identity, now: OffsetDateTime) -> anyhow::Result<Self> {
        let (leaf, between) = identity.chain.split_first().context("there is no certificate")?;
        let (_, parsed) = x509_parser::parse_x509_certificate(leaf).context("the certificate cannot be read")?;
        let names = names(&parsed);
        let issuer = match names.first().and_then(|name| verify(leaf, between, name, now).err()) {
            None if names.is_empty() => Issuer::Nobody("it has no name".into()),
            // whether it is for the right name is asked elsewhere: names are looked at last
            None | Some(Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })) => {
                Issuer::Public
            }
            Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) if parsed.issuer() == parsed.subject() => Issuer::Itself,
            Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => Issuer::Unknown,
            Some(Error::InvalidCertificate(
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. },
            )) => Issuer::OutOfTime,
            Some(error) => Issuer::Nobody(error.to_string()),
        };
        let validity = parsed.validity();
        Ok(Self { names, starts_at: validity.not_before.to_datetime(), ends_at: validity.not_after.to_datetime(), issuer })
    }

    /// Whether clients that ask for this host take it.
    #[must_use]
    pub fn is_for(&self, host: &str) -> bool {
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(parent) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent)),
            None => name.eq_ignore_ascii_case(host),
        })
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let names = alternatives.iter().flat_map(|found| &found.value.general_names);
    names.filter_map(|name| if let GeneralName::DNSName(name) = name { Some((*name).to_owned()) } else { None }).collect()
}

fn verify(leaf: &CertificateDer<'_>, between: &[CertificateDer<'_>], name: &str, now: OffsetDateTime) -> Result<(), Error> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(|error| Error::General(error.to_string()))?;
    let name = name.replacen('*', "any", 1);
    let name = ServerName::try_from(name).map_err(|_| Error::General("it has a name that is none".into()))?;
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    verifier.verify_server_cert(leaf, between, &name, &[], UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))).map(drop)
}
