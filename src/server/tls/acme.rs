//! Certificates by ACME (RFC 8555), for one node: ordered at the start, renewed when a third of their life is left, kept in a folder
//! with the account's key so that a restart orders nothing. The authority looks for its challenge at the redirecting listener where
//! there is one (HTTP-01), otherwise in TLS itself (TLS-ALPN-01). Several nodes share files instead.
//! Practice 7.auto-certificates. Tests: `tests/interop/`.

use super::{Identity, note_end};
use crate::{platform::files, settings};
use anyhow::Context;
use futures_util::StreamExt;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
    server::ResolvesServerCert,
};
use rustls_acme::{AccountCache, AcmeConfig, CertCache, EventOk, ResolvesServerCertAcme, UseChallenge};
use std::{fs, future::Future, io, path::PathBuf, pin::Pin, sync::Arc};

/// The protocol of challenges in TLS (RFC 8737).
pub(super) const PROTOCOLS: &[&str] = &["acme-tls/1"];

/// What is ordered, and where.
pub struct Acme {
    /// From whom.
    pub settings: settings::Acme,
    /// The name that the certificate is for.
    pub domain: String,
}

/// An order that is under way.
pub(super) struct Ordered {
    pub resolver: Arc<dyn ResolvesServerCert>,
    pub upkeep: Pin<Box<dyn Future<Output = ()>>>,
    pub challenges: Option<Challenges>,
}

/// Answers to challenges over HTTP.
#[derive(Clone)]
pub struct Challenges(Arc<ResolvesServerCertAcme>);

impl Challenges {
    /// The answer to a token that the authority was told of.
    #[must_use]
    pub fn answer(&self, token: &str) -> Option<String> {
        self.0.get_http_01_key_auth(token)
    }
}

impl Acme {
    /// # Errors
    /// When the authority's own certificate cannot be read or the folder cannot be made.
    pub(super) fn order(self, has_http: bool) -> anyhow::Result<Ordered> {
        let Self { settings, domain } = self;
        let shown = settings.folder.display();
        fs::create_dir_all(&settings.folder).with_context(|| format!("cannot make {shown} (PORTCULLIS_ACME_DIR)"))?;
        let contact = settings.contact.iter().map(|address| format!("mailto:{address}"));
        let mut state = AcmeConfig::new_with_client_config([&domain], Arc::new(client(settings.authority.as_ref())?))
            .directory(&settings.directory)
            .contact(contact)
            .challenge_type(if has_http { UseChallenge::Http01 } else { UseChallenge::TlsAlpn01 })
            .cache(Folder(settings.folder))
            .state();
        let resolver = state.resolver();
        let upkeep = async move {
            while let Some(event) = state.next().await {
                match event {
                    Ok(EventOk::DeployedNewCert) => tracing::info!(domain, "a new certificate is shown"),
                    Ok(_) => {}
                    Err(error) => {
                        metrics::counter!("portcullis_acme_failures_total").increment(1);
                        tracing::warn!(%error, domain, "no certificate from the ACME authority, will try again");
                    }
                }
            }
        };
        let challenges = has_http.then(|| Challenges(Arc::clone(&resolver)));
        Ok(Ordered { resolver, upkeep: Box::pin(upkeep), challenges })
    }
}

/// Trusts the public authorities, or the one in a file where the ACME authority is a private one.
fn client(authority: Option<&PathBuf>) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match authority {
        Some(path) => {
            let unusable = || format!("cannot read certificates from {} (PORTCULLIS_ACME_CA_FILE)", path.display());
            for certificate in CertificateDer::pem_file_iter(path).with_context(unusable)? {
                roots.add(certificate.with_context(unusable)?).with_context(unusable)?;
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider())).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Keeps account and certificate, both with their keys, in files that only this user reads. One folder is for one authority and
/// domain; what is kept of another one is not found in it.
struct Folder(PathBuf);

impl Folder {
    fn path(&self, kind: &str, of: &[String], directory: &str) -> PathBuf {
        let name = of.iter().map(String::as_str).chain([directory]).collect::<Vec<_>>().join(" ");
        self.0.join(format!("{kind}-{}.pem", percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC)))
    }

    fn load(&self, kind: &str, of: &[String], directory: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path(kind, of, directory)) {
            Ok(kept) => Ok(Some(kept)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The metric of its end.
fn note(pem: &[u8]) {
    if let Ok(ends_at) = Identity::from_pem(pem).and_then(|identity| identity.ends_at()) {
        note_end(ends_at);
    }
}

#[async_trait::async_trait]
impl CertCache for Folder {
    type EC = io::Error;

    async fn load_cert(&self, domains: &[String], directory: &str) -> io::Result<Option<Vec<u8>>> {
        let kept = self.load("certificate", domains, directory)?;
        kept.as_deref().into_iter().for_each(note);
        Ok(kept)
    }

    async fn store_cert(&self, domains: &[String], directory: &str, pem: &[u8]) -> io::Result<()> {
        note(pem);
        files::write_private(&self.path("certificate", domains, directory), pem)
    }
}

#[async_trait::async_trait]
impl AccountCache for Folder {
    type EA = io::Error;

    async fn load_account(&self, contact: &[String], directory: &str) -> io::Result<Option<Vec<u8>>> {
        self.load("account", contact, directory)
    }

    async fn store_account(&self, contact: &[String], directory: &str, key: &[u8]) -> io::Result<()> {
        files::write_private(&self.path("account", contact, directory), key)
    }
}
