//! What the service proves itself with: the operator's files, or a certificate of an authority that development makes. That one can
//! vouch for this machine's loopback names only, so that trusting it opens nothing else.
//! Practice 7.tls. Attacks: `tests/suite/attacks/s07_tls/`.

use crate::{
    platform::{clock::Clock, files},
    settings::TlsFiles,
};
use anyhow::{Context, bail};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints,
};
use rustls::{
    Error,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use std::{
    net::Ipv6Addr,
    path::{Path, PathBuf},
};
use time::{Duration, OffsetDateTime};

/// How long the development authority is valid.
const AUTHORITY_LIFE: Duration = Duration::days(3650);
/// How long a development certificate is valid; each start makes a new one.
const CERTIFICATE_LIFE: Duration = Duration::days(90);

/// What the service proves itself with.
pub struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// From the operator's files.
    ///
    /// # Errors
    /// When a file cannot be read or holds no certificate or no key.
    pub fn from_files(paths: &TlsFiles) -> anyhow::Result<Self> {
        let shown = paths.certificate.display();
        let chain: Vec<_> = CertificateDer::pem_file_iter(&paths.certificate)
            .and_then(Iterator::collect)
            .with_context(|| format!("cannot read certificates from {shown} (PORTCULLIS_TLS_CERTIFICATE_FILE)"))?;
        if chain.is_empty() {
            bail!("{shown} holds no certificate (PORTCULLIS_TLS_CERTIFICATE_FILE)");
        }
        let key = PrivateKeyDer::from_pem_file(&paths.key)
            .with_context(|| format!("cannot read a private key from {} (PORTCULLIS_TLS_KEY_FILE)", paths.key.display()))?;
        Ok(Self { chain, key })
    }

    /// From a chain and a key in one text, as the ACME client keeps them.
    ///
    /// # Errors
    /// When either is missing.
    pub fn from_pem(pem: &[u8]) -> anyhow::Result<Self> {
        let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { chain, key: PrivateKeyDer::from_pem_slice(pem)? })
    }

    /// A fresh certificate from the authority in `folder`, which is made on first use.
    ///
    /// # Errors
    /// When the folder cannot be written or holds something else.
    pub fn for_development(folder: &Path, clock: &Clock) -> anyhow::Result<Self> {
        let path = authority_key(folder);
        let key = files::read_or_create_private(&path, || Ok(KeyPair::generate()?.serialize_pem()))?;
        let key = KeyPair::from_pem(&key).with_context(|| format!("{} holds no private key", path.display()))?;
        let params = authority(clock);
        let certificate = files::read_or_create_private(&authority_certificate(folder), || Ok(params.self_signed(&key)?.pem()))?;
        let issuer = Issuer::new(params, key);

        let params = for_server(&["localhost", "127.0.0.1", "::1"], clock, CERTIFICATE_LIFE)?;
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &issuer)?;
        let authority = CertificateDer::from_pem_slice(certificate.as_bytes()).context("the development authority's certificate is unreadable")?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|reason| anyhow::anyhow!("{reason}"))?;
        Ok(Self { chain: vec![leaf.der().clone(), authority], key })
    }

    /// Certificate and key in a form that signs.
    ///
    /// # Errors
    /// When they do not belong together, or the certificate is of a kind that is not used (of version 1, say).
    pub fn certified(self) -> anyhow::Result<CertifiedKey> {
        let provider = aws_lc_rs::default_provider();
        CertifiedKey::from_der(self.chain, self.key, &provider).map_err(|error| match error {
            Error::InconsistentKeys(_) => anyhow::anyhow!("the certificate and its key do not belong together"),
            error => anyhow::Error::from(error).context("the certificate or its key cannot be used"),
        })
    }

    /// When the certificate ends.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn ends_at(&self) -> anyhow::Result<OffsetDateTime> {
        let leaf = self.chain.first().context("there is no certificate")?;
        let (_, leaf) = x509_parser::parse_x509_certificate(leaf).context("the certificate cannot be read")?;
        Ok(leaf.validity().not_after.to_datetime())
    }
}

/// A certificate for one name, of an authority that signed it and nothing else: its key is gone when this returns.
pub struct Issued {
    /// The authority's certificate, PEM.
    pub authority: String,
    /// The certificate, PEM.
    pub certificate: String,
    /// Its private key, PEM.
    pub key: String,
}

/// Makes an [`Issued`].
///
/// # Errors
/// When the name is none, or the library refuses.
pub fn issue_once(name: &str, clock: &Clock) -> anyhow::Result<Issued> {
    let mut params = authority(clock);
    params.name_constraints = Some(NameConstraints { permitted_subtrees: vec![GeneralSubtree::DnsName(name.into())], excluded_subtrees: Vec::new() });
    let authority_key = KeyPair::generate()?;
    let authority = params.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(params, authority_key);
    let params = for_server(&[name], clock, AUTHORITY_LIFE)?;
    let key = KeyPair::generate()?;
    Ok(Issued { authority, certificate: params.signed_by(&key, &issuer)?.pem(), key: key.serialize_pem() })
}

/// A server of these names, called after the first.
fn for_server(names: &[&str], clock: &Clock, life: Duration) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, names.first().copied().unwrap_or_default());
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = clock.now() - Duration::DAY;
    params.not_after = params.not_before + life;
    // RFC 5280 §4.2.1.1: strict verifiers find the issuer by it
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Where development keeps its authority's certificate, for `curl --cacert`.
#[must_use]
pub fn authority_certificate(folder: &Path) -> PathBuf {
    folder.join("ca.pem")
}

fn authority_key(folder: &Path) -> PathBuf {
    folder.join("ca-key.pem")
}

fn authority(clock: &Clock) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Portcullis development authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = clock.now() - Duration::DAY;
    params.not_after = clock.now() + AUTHORITY_LIFE;
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![
            GeneralSubtree::DnsName("localhost".into()),
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([127, 0, 0, 1], 32)),
            GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(Ipv6Addr::LOCALHOST.octets(), 128)),
        ],
        excluded_subtrees: Vec::new(),
    });
    params
}
