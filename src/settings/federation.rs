//! Which other services are believed, and with what: providers to sign in with, and issuers of access tokens. Lists in JSON, because each
//! entry has several parts; a mistake is told by its entry's name and never shows a secret.
//! Practices 1.oauth-oidc, 9.never-hardcode. Tests: `tests/suite/contract/settings.rs`, `tests/suite/contract/production.rs`.

use crate::{
    credentials::federation::{GITHUB, GOOGLE, GitHubAddresses, Protocol, ProviderSettings, TokenIssuer, Trust},
    platform::outbound::address,
    settings::{
        Origin,
        reader::{Reader, is_entry_name},
        secrets::Given,
    },
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::collections::HashSet;
use url::Url;

const PROVIDERS: &str = "PORTCULLIS_IDENTITY_PROVIDERS";
const CALLBACK: &str = "PORTCULLIS_OAUTH_CALLBACK_URL";
const ISSUERS: &str = "PORTCULLIS_TOKEN_ISSUERS";

/// Longest client name, secret and audience, in bytes.
const LONGEST: usize = 500;

/// Who else is believed.
pub struct Federated {
    /// Providers to sign in with.
    pub providers: Vec<ProviderSettings>,
    /// Issuers whose access tokens are taken.
    pub issuers: Vec<TokenIssuer>,
    /// Providers send browsers back to pages under it; `None`: our own.
    pub callback: Option<Url>,
}

/// What is known of some providers.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Preset {
    Google,
    GitHub,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderEntry {
    name: String,
    preset: Option<Preset>,
    issuer: Option<String>,
    client_id: String,
    client_secret: String,
    trust_email: Option<bool>,
    /// Other addresses than GitHub's, for tests.
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    user_endpoint: Option<String>,
    emails_endpoint: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerEntry {
    issuer: String,
    audience: String,
    #[serde(default)]
    provision: bool,
    #[serde(default)]
    second_factor: bool,
}

pub(super) fn read(read: &mut Reader, given: &mut Vec<Given>, is_production: bool, public_url: Option<&Origin>, others: &[Origin]) -> Federated {
    let providers = providers(read, given, is_production);
    let issuers = issuers(read, &providers, public_url, is_production);
    let callback = read.optional(CALLBACK, |text| callback(text, public_url, others));
    Federated { providers, issuers, callback }
}

fn providers(read: &mut Reader, given: &mut Vec<Given>, is_production: bool) -> Vec<ProviderSettings> {
    let Some(text) = read.secret(PROVIDERS) else { return Vec::new() };
    let Some(entries) = read.array::<ProviderEntry>(PROVIDERS, text.expose_secret()) else { return Vec::new() };
    let mut known = HashSet::new();
    let mut found = Vec::new();
    for (at, entry) in entries.into_iter().enumerate() {
        if !is_entry_name(&entry.name) {
            read.refuse(PROVIDERS, format_args!("has a name at entry {} that is not 1 to 30 of a-z, 0-9 and -", at + 1));
            continue;
        }
        let name = entry.name.clone();
        match provider(entry, is_production) {
            Ok(provider) => {
                given.push(Given { name: PROVIDERS, secret: provider.client_secret.clone() });
                let issuer = match &provider.protocol {
                    Protocol::OpenId(issuer) => issuer.clone(),
                    Protocol::GitHub(_) => GITHUB.to_owned(),
                };
                // two of one issuer would be one identity with two meanings
                if !known.insert(name.clone()) || !known.insert(issuer) {
                    read.refuse(PROVIDERS, format_args!("has {name} or its issuer twice"));
                }
                found.push(provider);
            }
            Err(reason) => read.refuse(PROVIDERS, format_args!("has {name}, which {reason}")),
        }
    }
    found
}

fn provider(mut entry: ProviderEntry, is_production: bool) -> Result<ProviderSettings, &'static str> {
    let secret = SecretString::from(std::mem::take(&mut entry.client_secret));
    let client_secret = secret.expose_secret();
    let ProviderEntry { name, preset, issuer, client_id, trust_email, .. } = &entry;
    if ![client_id.as_str(), client_secret].iter().all(|text| (1..=LONGEST).contains(&text.len()) && !text.chars().any(char::is_control)) {
        return Err("needs a client_id and a client_secret of at most 500 bytes");
    }
    let is_overridden =
        [&entry.authorization_endpoint, &entry.token_endpoint, &entry.user_endpoint, &entry.emails_endpoint].iter().any(|e| e.is_some());
    if is_overridden && (is_production || !matches!(preset, Some(Preset::GitHub))) {
        return Err("names endpoints, which only the preset github has, outside production");
    }
    if preset.is_some() && issuer.is_some() {
        return Err("has a preset and an issuer");
    }
    let (protocol, default) = match preset {
        Some(Preset::Google) => (Protocol::OpenId(GOOGLE.into()), Trust::WhereItIsTheAuthority),
        Some(Preset::GitHub) => (Protocol::GitHub(Box::new(github(&entry)?)), Trust::Verified),
        None => {
            let issuer = issuer.as_ref().ok_or("needs an issuer or a preset")?;
            (Protocol::OpenId(an_issuer(issuer, is_production)?), Trust::Never)
        }
    };
    let trust = match (trust_email, default) {
        (Some(false), _) => Trust::Never,
        (Some(true), Trust::Never) => Trust::Verified,
        (_, default) => default,
    };
    Ok(ProviderSettings { name: name.clone(), protocol, client_id: client_id.clone(), client_secret: secret, trust })
}

fn github(entry: &ProviderEntry) -> Result<GitHubAddresses, &'static str> {
    let or = |given: &Option<String>, usual: &str| address(given.as_deref().unwrap_or(usual), true);
    Ok(GitHubAddresses {
        authorization: or(&entry.authorization_endpoint, "https://github.com/login/oauth/authorize")?,
        token: or(&entry.token_endpoint, "https://github.com/login/oauth/access_token")?,
        user: or(&entry.user_endpoint, "https://api.github.com/user")?,
        emails: or(&entry.emails_endpoint, "https://api.github.com/user/emails")?,
    })
}

/// As it stands: it is compared with what tokens say, byte by byte.
fn an_issuer(text: &str, is_production: bool) -> Result<String, &'static str> {
    let url = address(text, !is_production)?;
    if url.query().is_some() { Err("has an issuer with a query") } else { Ok(text.to_owned()) }
}

fn issuers(read: &mut Reader, providers: &[ProviderSettings], public_url: Option<&Origin>, is_production: bool) -> Vec<TokenIssuer> {
    let Some(text) = read.optional(ISSUERS, |text| Ok::<_, &str>(text.to_owned())) else { return Vec::new() };
    let Some(entries) = read.array::<IssuerEntry>(ISSUERS, &text) else { return Vec::new() };
    let mut found: Vec<TokenIssuer> = Vec::new();
    for IssuerEntry { issuer, audience, provision, second_factor } in entries {
        // an ID token for this client would pass for an access token
        let is_client = providers.iter().any(|provider| provider.client_id == audience);
        if let Err(reason) = an_issuer(&issuer, is_production) {
            read.refuse(ISSUERS, format_args!("has {issuer}, which {reason}"));
        } else if !(1..=LONGEST).contains(&audience.len()) || is_client {
            read.refuse(ISSUERS, format_args!("needs an audience of at most 500 bytes for {issuer}, which is no client_id"));
        } else if public_url.is_some_and(|own| own.as_str() == issuer.trim_end_matches('/')) {
            read.refuse(ISSUERS, "has this service itself");
        } else if found.iter().any(|known| known.issuer == issuer) {
            read.refuse(ISSUERS, format_args!("has {issuer} twice"));
        } else {
            found.push(TokenIssuer { issuer, audience, provision, second_factor });
        }
    }
    found
}

fn callback(text: &str, public_url: Option<&Origin>, others: &[Origin]) -> Result<Url, &'static str> {
    let url = address(text, false)?;
    let origin = url.origin().ascii_serialization();
    if !public_url.into_iter().chain(others).any(|known| known.as_str() == origin) {
        return Err("must be a page of the public URL or of an origin in PORTCULLIS_CORS_ORIGINS");
    }
    if url.query().is_some() { Err("must have no query") } else { Ok(url) }
}

impl Federated {
    /// Where providers send browsers back to: a page of each provider's name lies under it.
    #[must_use]
    pub fn callback(&self, public_url: &Origin) -> Option<Url> {
        self.callback.clone().or_else(|| Url::parse(&format!("{public_url}/go/oauth")).ok())
    }
}
