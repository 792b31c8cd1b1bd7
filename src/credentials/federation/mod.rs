//! Identities at other services: signing in by OpenID Connect (any issuer) and by GitHub, and access tokens that others made. An
//! identity is an issuer and a subject there; an e-mail address is only ever its issuer's word, and counts where an operator says so.
//!
//! What a provider gives is used up here: no token of it is kept or handed on.
//! Practices 1.oauth-oidc, 1.third-party. Attacks: `tests/suite/attacks/s10_access_control/`.

mod discovery;
mod github;
mod id_token;
mod jwks;
mod kept;
mod openid;
mod outside;
pub mod store;

pub use outside::{OutsideToken, TokenIssuer};

use crate::{
    accounts::{Email, Name},
    platform::{
        crypto::{self, SecretToken},
        outbound::{Fault, Outbound},
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use discovery::Issuer;
use github::GitHub;
use openid::OpenId;
use secrecy::SecretString;
use std::{fmt, sync::Arc, time::Duration};
use time::OffsetDateTime;
use url::Url;

/// The longest that all questions of one sign-in may take together: less than a request may.
const PATIENCE: Duration = Duration::from_secs(8);
/// The issuer of GitHub's identities.
pub const GITHUB: &str = "https://github.com";
/// The issuer of Google's.
pub const GOOGLE: &str = "https://accounts.google.com";

/// Why somebody's word was not taken.
#[derive(Debug, thiserror::Error)]
pub enum FederationError {
    /// The other service does not answer, or what it says about itself is of no use.
    #[error("{0}")]
    Away(anyhow::Error),
    /// It refused, or what it gave is not what was asked for.
    #[error("refused: {0}")]
    Refused(&'static str),
}

impl FederationError {
    fn away(fault: Fault) -> Self {
        Self::Away(fault.into())
    }

    fn useless(why: &'static str) -> Self {
        Self::away(Fault::Useless(why))
    }
}

/// What a provider's word on e-mail addresses is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Nothing.
    Never,
    /// An address that it has verified is the person's.
    Verified,
    /// The same, where it runs the mailbox or the organisation's accounts itself (Google's own rule).
    WhereItIsTheAuthority,
}

/// GitHub's addresses; other ones are for tests.
#[derive(Debug, Clone)]
pub struct GitHubAddresses {
    /// Where people are sent.
    pub authorization: Url,
    /// Where codes are exchanged.
    pub token: Url,
    /// Who somebody is.
    pub user: Url,
    /// Their addresses.
    pub emails: Url,
}

/// What a provider speaks.
#[derive(Debug, Clone)]
pub enum Protocol {
    /// OpenID Connect, with the issuer of this name.
    OpenId(String),
    /// GitHub's OAuth 2.0.
    GitHub(Box<GitHubAddresses>),
}

/// A provider in the settings.
#[derive(Clone)]
pub struct ProviderSettings {
    /// Its name here.
    pub name: String,
    /// What it speaks.
    pub protocol: Protocol,
    /// Our name there.
    pub client_id: String,
    /// Our secret there.
    pub client_secret: SecretString,
    /// What its word on addresses is worth.
    pub trust: Trust,
}

/// Where documents come from.
struct Source {
    web: Outbound,
    /// Development asks a provider on the same machine without TLS.
    may_be_clear_here: bool,
}

/// One sign-in with a provider: what is asked with, and compared with later. Kept sealed, and used once.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub struct Attempt {
    nonce: String,
    verifier: String,
    /// The person must prove themselves anew, from this time on.
    proven_since: Option<i64>,
}

impl Attempt {
    /// A fresh one.
    #[must_use]
    pub fn new(must_be_fresh: bool, now: OffsetDateTime) -> Self {
        let secret = || SecretToken::generate().expose().to_owned();
        Self { nonce: secret(), verifier: secret(), proven_since: must_be_fresh.then(|| now.unix_timestamp()) }
    }

    /// PKCE (RFC 7636), S256.
    fn code_challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(crypto::sha256(self.verifier.as_bytes()))
    }
}

/// What a provider sent the browser back with.
pub struct Answered {
    /// To be exchanged.
    pub code: SecretString,
    /// Who says so (RFC 9207).
    pub issuer: Option<String>,
}

/// Somebody, by a provider's word.
pub struct Identified {
    /// Who says so.
    pub issuer: String,
    /// Who it is there.
    pub subject: String,
    /// The person's address: verified by a provider that is trusted with it.
    pub email: Option<Email>,
    /// What they are called there.
    pub name: Option<String>,
    /// When they proved themselves there, if it says so.
    pub proven_at: Option<OffsetDateTime>,
}

impl Identified {
    /// A name for a new account: the one there, or as much of the address as makes one.
    #[must_use]
    pub fn name_for(&self, email: &Email) -> Option<Name> {
        let local = email.as_str().split('@').next().unwrap_or_default();
        let names = [self.name.as_deref().unwrap_or_default(), local, "Member"];
        names.into_iter().find_map(|name| Name::parse(name).ok())
    }
}

enum Spoken {
    OpenId(OpenId),
    GitHub(GitHub),
}

/// A provider to sign in with.
pub struct Provider {
    source: Arc<Source>,
    settings: ProviderSettings,
    /// The page that it sends browsers back to: one of its own, so that an answer cannot be taken for another provider's.
    redirect: Url,
    spoken: Spoken,
}

impl Provider {
    /// Its name here.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// The issuer of its identities.
    #[must_use]
    pub fn issuer(&self) -> &str {
        match &self.spoken {
            Spoken::OpenId(open_id) => &open_id.issuer.name,
            Spoken::GitHub(_) => GITHUB,
        }
    }

    /// Whether it can be made to ask the person anew, and says when it did.
    #[must_use]
    pub fn can_prove_anew(&self) -> bool {
        matches!(self.spoken, Spoken::OpenId(_))
    }

    /// Where to send somebody; the `state` is still to be added.
    ///
    /// # Errors
    /// [`FederationError`].
    pub async fn authorization_url(&self, attempt: &Attempt, now: OffsetDateTime) -> Result<Url, FederationError> {
        let mut url = match &self.spoken {
            Spoken::OpenId(open_id) => open_id.authorization_url(&self.source, attempt, now).await?,
            Spoken::GitHub(github) => github.authorization_url(),
        };
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", self.redirect.as_str())
            .append_pair("code_challenge", &attempt.code_challenge())
            .append_pair("code_challenge_method", "S256");
        Ok(url)
    }

    /// Who came back: exchanges the code and reads what it is worth.
    ///
    /// # Errors
    /// [`FederationError`].
    pub async fn identify(&self, attempt: &Attempt, answered: &Answered, now: OffsetDateTime) -> Result<Identified, FederationError> {
        let identified = async {
            match &self.spoken {
                Spoken::OpenId(open_id) => open_id.identify(self, attempt, answered, now).await,
                Spoken::GitHub(github) => github.identify(self, attempt, answered).await,
            }
        };
        let too_slow = |_| FederationError::Away(anyhow::anyhow!("its answers took too long"));
        tokio::time::timeout(PATIENCE, identified).await.map_err(too_slow)?
    }
}

/// Which other services are believed.
#[derive(Clone)]
pub struct Federation(Arc<Inner>);

#[derive(Default)]
struct Inner {
    providers: Vec<Provider>,
    outside: Vec<outside::Issuing>,
}

impl fmt::Debug for Federation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.providers.iter().map(Provider::name)).finish()
    }
}

impl Federation {
    /// Of these providers, which send browsers back to pages under `callback`, and of these issuers of tokens.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(providers: &[ProviderSettings], issuers: &[TokenIssuer], callback: &Url, may_be_clear_here: bool) -> anyhow::Result<Self> {
        if providers.is_empty() && issuers.is_empty() {
            // without a client: a machine without certificates of authorities has no need of them
            return Ok(Self(Arc::default()));
        }
        let source = Arc::new(Source { web: Outbound::new()?, may_be_clear_here });
        let provider = |settings: &ProviderSettings| {
            let spoken = match &settings.protocol {
                Protocol::OpenId(issuer) => Spoken::OpenId(OpenId { issuer: Issuer::new(issuer.clone()) }),
                Protocol::GitHub(addresses) => Spoken::GitHub(GitHub { addresses: (**addresses).clone() }),
            };
            let mut redirect = callback.clone();
            redirect.set_path(&format!("{}/{}", callback.path().trim_end_matches('/'), settings.name));
            Provider { source: source.clone(), settings: settings.clone(), redirect, spoken }
        };
        let outside = issuers.iter().map(|issuer| outside::Issuing::new(source.clone(), issuer.clone())).collect();
        Ok(Self(Arc::new(Inner { providers: providers.iter().map(provider).collect(), outside })))
    }

    /// All providers, in the order of the settings.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.0.providers.iter()
    }

    /// The provider of this name.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers().find(|provider| provider.name() == name)
    }

    /// What the provider of an issuer's identities is called here.
    #[must_use]
    pub fn name_of(&self, issuer: &str) -> Option<&str> {
        self.providers().find(|provider| provider.issuer() == issuer).map(Provider::name)
    }
}
