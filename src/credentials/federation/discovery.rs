//! What an issuer says about itself (OpenID Connect Discovery 1.0, RFC 8414). It is believed about itself only: a document that speaks
//! for another issuer, or names addresses in clear text, is not used.
//! Practice 1.oauth-oidc. Attacks: `tests/suite/attacks/s10_access_control/lying_provider.rs`.

use crate::{
    credentials::federation::{FederationError, Source, jwks::KeySet, kept::Kept},
    platform::outbound::{self, Credentials},
};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use time::OffsetDateTime;
use url::Url;

/// The document, as far as it is used.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    userinfo_endpoint: Option<String>,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    code_challenge_methods_supported: Option<Vec<String>>,
}

/// Where an issuer is asked what.
pub(super) struct Metadata {
    /// Where people are sent, and where codes are exchanged; issuers of outside tokens need have neither.
    pub authorization: Option<Url>,
    pub token: Option<Url>,
    pub user_info: Option<Url>,
    keys: Url,
    /// Whether the client shows its secret in the form rather than in a header.
    pub secret_in_form: bool,
    /// Whether each answer names who answered (RFC 9207).
    pub names_itself: bool,
}

/// An issuer and what is known of it.
pub(super) struct Issuer {
    pub name: String,
    metadata: Kept<Metadata>,
    keys: Kept<KeySet>,
}

impl Issuer {
    pub(super) fn new(name: String) -> Self {
        Self { name, metadata: Kept::default(), keys: Kept::default() }
    }

    /// Where it is asked.
    pub(super) async fn metadata(&self, source: &Source, now: OffsetDateTime) -> Result<Arc<Metadata>, FederationError> {
        self.metadata.get(now, |_| true, fetch(source, &self.name)).await
    }

    /// Its keys; fetched again, though not too often, when none is of this name.
    pub(super) async fn keys(&self, source: &Source, now: OffsetDateTime, name: Option<&str>) -> Result<Arc<KeySet>, FederationError> {
        let fetch = async {
            let metadata = self.metadata(source, now).await?;
            let document: Value = source.web.get(&metadata.keys, Credentials::None).await.map_err(FederationError::away)?;
            KeySet::read(document).ok_or_else(|| FederationError::useless("its keys are no JWK set"))
        };
        self.keys.get(now, |keys| keys.has(name), fetch).await
    }
}

async fn fetch(source: &Source, issuer: &str) -> Result<Metadata, FederationError> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let url = source.address(&url)?;
    let document: Document = source.web.get(&url, Credentials::None).await.map_err(FederationError::away)?;
    // OpenID Connect Discovery §4.3: exactly
    if document.issuer != issuer {
        return Err(FederationError::useless("its document speaks for another issuer"));
    }
    // what says which methods it knows and does not name ours would ignore the challenge, or take it in clear text
    if document.code_challenge_methods_supported.is_some_and(|methods| !methods.iter().any(|method| method == "S256")) {
        return Err(FederationError::useless("it does not know PKCE with S256"));
    }
    let optional = |text: Option<String>| text.map(|text| source.address(&text)).transpose();
    let methods = document.token_endpoint_auth_methods_supported;
    let knows = |method: &str| methods.as_ref().is_none_or(|methods| methods.iter().any(|known| known == method));
    Ok(Metadata {
        authorization: optional(document.authorization_endpoint)?,
        token: optional(document.token_endpoint)?,
        user_info: optional(document.userinfo_endpoint)?,
        keys: source.address(&document.jwks_uri)?,
        secret_in_form: !knows("client_secret_basic") && knows("client_secret_post"),
        names_itself: document.authorization_response_iss_parameter_supported,
    })
}

impl Source {
    /// An address in a document.
    fn address(&self, text: &str) -> Result<Url, FederationError> {
        outbound::address(text, self.may_be_clear_here).map_err(|_| FederationError::useless("its document names an address that is not secure"))
    }
}
