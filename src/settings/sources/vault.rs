//! `HashiCorp` Vault (and what speaks like it: `OpenBao`): the key-value store, version 2, opened with a token or as an `AppRole`. A token is
//! renewed before it ends; one that is refused is replaced by a new login, once. Vault is asked at the address that the settings name
//! and nowhere else: no redirects, no proxies. Its own messages are not repeated.
//! <https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2>, <https://developer.hashicorp.com/vault/api-docs/auth/approle>.
//! Practice 9.env-or-manager. Attacks: `tests/suite/attacks/s09_secrets/lying_vault.rs`.

use super::{
    Fault, PATIENCE,
    field::{Field, Fields},
    file,
};
use crate::{
    platform::{outbound::address, telemetry::causes},
    settings::{reader::Reader, secrets::Given},
};
use reqwest::{
    Certificate, Client, Method, Response,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
    redirect::Policy,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    path::PathBuf,
    time::{Duration, Instant},
};
use url::Url;
use zeroize::{Zeroize, Zeroizing};

/// Told of every secret that is kept there.
pub(super) const NOT_SET: &str =
    "Vault is not set up: PORTCULLIS_VAULT_URL, and PORTCULLIS_VAULT_TOKEN or PORTCULLIS_VAULT_ROLE_ID and PORTCULLIS_VAULT_SECRET_ID";
/// The largest answer, in bytes: Vault keeps a document of at most 1 MiB.
const LARGEST: usize = 1 << 20;

const URL: &str = "PORTCULLIS_VAULT_URL";
const TOKEN: &str = "PORTCULLIS_VAULT_TOKEN";
const ROLE: &str = "PORTCULLIS_VAULT_ROLE_ID";
const SECRET_ID: &str = "PORTCULLIS_VAULT_SECRET_ID";
const AUTHORITY: &str = "PORTCULLIS_VAULT_CA_FILE";

/// Where Vault is and what opens it.
pub(super) struct Access {
    url: Url,
    namespace: Option<HeaderValue>,
    authorities: Vec<Certificate>,
    key: Key,
}

/// What opens Vault.
enum Key {
    /// A token; read again from its file, which an agent may replace.
    Token(SecretString, Option<PathBuf>),
    /// A role; the same of its secret id.
    Role { mount: String, role: String, secret: SecretString, file: Option<PathBuf> },
}

impl Access {
    /// From the settings; `None`: they name no Vault, or are wrong. Clear text goes to an agent on this machine only.
    pub(super) fn read(read: &mut Reader, given: &mut Vec<Given>) -> Option<Self> {
        let url = read.optional(URL, |text| {
            address(text, true).and_then(|url| match url.path() {
                "/" if url.query().is_none() => Ok(url),
                _ => Err("must have no path and no query"),
            })
        });
        let namespace = read.optional("PORTCULLIS_VAULT_NAMESPACE", |text| {
            Some(text)
                .filter(|text| text.len() <= 200)
                .and_then(|text| HeaderValue::from_str(text).ok())
                .ok_or("must be at most 200 visible ASCII characters")
        });
        let authorities = read.optional(AUTHORITY, |path| {
            let pem = std::fs::read(path).map_err(|error| format!("cannot be read: {path}: {error}"))?;
            Certificate::from_pem_bundle(&pem).ok().filter(|all| !all.is_empty()).ok_or_else(|| format!("has no certificates: {path}"))
        });
        let mount = read.value("PORTCULLIS_VAULT_APPROLE_MOUNT", String::new(), |text| {
            let is_fine = text.split('/').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)));
            if is_fine { Ok(text.to_owned()) } else { Err("must be letters, digits, - and _, with / in between") }
        });
        let role = read.optional(ROLE, |text| {
            if text.len() <= 200 && text.chars().all(|c| c.is_ascii_graphic()) {
                Ok(text.to_owned())
            } else {
                Err("must be at most 200 visible ASCII characters")
            }
        });
        let (token, secret) = (read.secret(TOKEN), read.secret(SECRET_ID));
        given.extend([(TOKEN, &token), (SECRET_ID, &secret)].into_iter().filter_map(|(name, secret)| Some(Given { name, secret: secret.clone()? })));
        let file = |name| read.file_of(name);
        let key = match (token, role, secret) {
            (Some(token), None, None) => Key::Token(token, file(TOKEN)),
            (None, Some(role), Some(secret)) => Key::Role { mount, role, secret, file: file(SECRET_ID) },
            (None, None, None) => {
                if url.is_some() {
                    read.refuse(URL, "needs a token (PORTCULLIS_VAULT_TOKEN), or a role and its secret id, beside it");
                }
                return None;
            }
            (Some(_), ..) => {
                read.refuse(TOKEN, "and PORTCULLIS_VAULT_ROLE_ID or PORTCULLIS_VAULT_SECRET_ID are both set");
                return None;
            }
            (None, ..) => {
                read.refuse(ROLE, "and PORTCULLIS_VAULT_SECRET_ID belong together");
                return None;
            }
        };
        if url.is_none() && !read.is_given(URL) {
            read.refuse(URL, "must be set beside what opens Vault");
        }
        Some(Self { url: url?, namespace, authorities: authorities.unwrap_or_default(), key })
    }
}

/// A token that Vault gave.
struct Token {
    text: SecretString,
    /// `None`: it does not end.
    renew_at: Option<Instant>,
    is_renewable: bool,
    /// How long it was good for at first.
    life: Duration,
}

impl Token {
    fn new(text: SecretString, seconds: u64, is_renewable: bool) -> Self {
        let life = Duration::from_secs(seconds);
        Self { text, renew_at: due(life), is_renewable, life }
    }
}

/// A token that is to live longer is renewed as if it did not: no clock counts what somebody may say here.
const LONGEST_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// After two thirds of its life, so that two tries are left.
fn due(life: Duration) -> Option<Instant> {
    (!life.is_zero()).then(|| Instant::now() + life.min(LONGEST_LIFE) * 2 / 3)
}

/// Vault, opened.
pub(super) struct Vault {
    client: Client,
    access: Access,
    token: Option<Token>,
}

#[derive(Serialize)]
struct Credentials<'c> {
    role_id: &'c str,
    secret_id: &'c str,
}

#[derive(Deserialize)]
struct Login {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    client_token: String,
    lease_duration: u64,
    renewable: bool,
}

#[derive(Deserialize)]
struct Lookup {
    data: LookedUp,
}

#[derive(Deserialize)]
struct LookedUp {
    ttl: u64,
    #[serde(default)]
    renewable: bool,
}

#[derive(Deserialize)]
struct Document {
    data: Contents,
}

#[derive(Deserialize)]
struct Contents {
    data: Option<HashMap<String, Field>>,
}

impl Vault {
    /// `None`: there can be no client, because the system's authorities cannot be read.
    pub(super) fn new(access: Access) -> Option<Self> {
        let client = Client::builder().timeout(PATIENCE).connect_timeout(PATIENCE).redirect(Policy::none()).no_proxy().referer(false);
        let client = client.user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")));
        // an authority of one's own is the only one then: nobody else vouches for this server
        let client = if access.authorities.is_empty() { client } else { client.tls_certs_only(access.authorities.iter().cloned()) };
        Some(Self { client: client.build().ok()?, access, token: None })
    }

    /// A document's current version.
    pub(super) async fn read(&mut self, path: &str) -> Result<Fields, Fault> {
        let is_fresh = self.token.is_none();
        match self.read_once(path).await {
            // ended or revoked, or not allowed: a new token tells which
            Err(Fault::Refused(_)) if !is_fresh && self.token.is_none() => self.read_once(path).await,
            outcome => outcome,
        }
    }

    async fn read_once(&mut self, path: &str) -> Result<Fields, Fault> {
        self.open().await?;
        let answer = self.ask(Method::GET, path, None, self.token.as_ref().map(|token| &token.text)).await?;
        match answer.status().as_u16() {
            200 => {
                let body = bounded(answer).await?;
                let document: Document = serde_json::from_slice(&body).map_err(|_| useless("is there, but not of a key-value store of version 2"))?;
                document.data.data.map(Fields::Named).ok_or_else(|| useless("has no current version: it was deleted"))
            }
            403 => {
                self.let_go().await;
                Err(useless("is refused (403): the token has ended, or its policy does not let it read this"))
            }
            404 => Err(match serde_json::from_slice::<Document>(&bounded(answer).await?) {
                // with metadata beside no data
                Ok(_) => useless("has no current version: it was deleted"),
                Err(_) => useless("is not there (404)"),
            }),
            status => Err(otherwise(status)),
        }
    }

    /// Gets a token where there is none.
    async fn open(&mut self) -> Result<(), Fault> {
        if self.token.is_some() {
            return Ok(());
        }
        self.token = Some(match &self.access.key {
            Key::Token(text, file) => {
                let text = file.as_deref().map_or_else(|| Ok(text.clone()), file::read)?;
                self.look_up(text).await?
            }
            Key::Role { mount, role, secret, file } => {
                let secret = file.as_deref().map_or_else(|| Ok(secret.clone()), file::read)?;
                self.log_in(mount, role, &secret).await?
            }
        });
        Ok(())
    }

    /// How long a token that was given to us is good.
    async fn look_up(&self, text: SecretString) -> Result<Token, Fault> {
        let answer = self.ask(Method::GET, "auth/token/lookup-self", None, Some(&text)).await?;
        match answer.status().as_u16() {
            200 => {
                let Lookup { data } =
                    serde_json::from_slice(&bounded(answer).await?).map_err(|_| Fault::Refused("Vault says nothing of the token".to_owned()))?;
                Ok(Token::new(text, data.ttl, data.renewable))
            }
            403 => Err(Fault::Refused("Vault refuses the token (403): it is wrong, has ended or was revoked".to_owned())),
            status => Err(otherwise(status)),
        }
    }

    async fn log_in(&self, mount: &str, role: &str, secret: &SecretString) -> Result<Token, Fault> {
        let body = serde_json::to_string(&Credentials { role_id: role, secret_id: secret.expose_secret() }).map(Zeroizing::new);
        let body = body.map_err(|_| Fault::Refused("the secret id cannot be sent".to_owned()))?;
        let answer = self.ask(Method::POST, &format!("auth/{mount}/login"), Some(&body), None).await?;
        match answer.status().as_u16() {
            200 => {
                let Login { auth } = serde_json::from_slice(&bounded(answer).await?).map_err(|_| Fault::Refused("Vault gave no token".to_owned()))?;
                Ok(Token::new(auth.client_token.into(), auth.lease_duration, auth.renewable))
            }
            400 | 403 | 404 => Err(Fault::Refused(
                "Vault refuses the login: the role id or the secret id is wrong, has ended or may not be used from here".to_owned(),
            )),
            status => Err(otherwise(status)),
        }
    }

    pub(super) fn renew_at(&self) -> Option<Instant> {
        self.token.as_ref().and_then(|token| token.renew_at)
    }

    /// Renews the token, or gets another where that is not to be had any more: its longest life ends.
    pub(super) async fn renew(&mut self) -> Result<(), Fault> {
        if let Some(token) = self.token.as_ref().filter(|token| token.is_renewable) {
            let life = token.life;
            let answer = self.ask(Method::POST, "auth/token/renew-self", Some("{}"), Some(&token.text)).await?;
            match answer.status().as_u16() {
                200 => {
                    let Login { auth } =
                        serde_json::from_slice(&bounded(answer).await?).map_err(|_| Fault::Refused("Vault did not renew the token".to_owned()))?;
                    drop(Zeroizing::new(auth.client_token));
                    let left = Duration::from_secs(auth.lease_duration);
                    if let Some(token) = self.token.as_mut().filter(|_| left > life / 2 || life.is_zero()) {
                        token.renew_at = due(left);
                        return Ok(());
                    }
                }
                403 => {}
                status if status >= 429 => return Err(otherwise(status)),
                _ => {}
            }
        }
        self.let_go().await;
        self.open().await
    }

    /// Does without the token, and ends one that was made for this process.
    pub(super) async fn let_go(&mut self) {
        if let Some(token) = self.token.take().filter(|_| matches!(self.access.key, Key::Role { .. })) {
            // it ends by itself if this fails
            _ = self.ask(Method::POST, "auth/token/revoke-self", None, Some(&token.text)).await;
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&str>, token: Option<&SecretString>) -> Result<Response, Fault> {
        let url = self.access.url.join(&format!("/v1/{path}")).map_err(|_| useless("has no address"))?;
        let mut request = self.client.request(method, url).header(HeaderName::from_static("x-vault-request"), "true");
        if let Some(namespace) = &self.access.namespace {
            request = request.header(HeaderName::from_static("x-vault-namespace"), namespace);
        }
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(token.expose_secret())
                .map_err(|_| Fault::Refused("the token for Vault has characters that no token has".to_owned()))?;
            value.set_sensitive(true);
            request = request.header(HeaderName::from_static("x-vault-token"), value);
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_owned());
        }
        request.send().await.map_err(away)
    }
}

/// Vault's answer, wiped when it is dropped.
async fn bounded(mut answer: Response) -> Result<Zeroizing<Vec<u8>>, Fault> {
    // as long as it says: what grows leaves copies behind
    let length = answer.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
    let mut body = Zeroizing::new(Vec::with_capacity(length.min(LARGEST)));
    while let Some(piece) = answer.chunk().await.map_err(away)? {
        if body.len() + piece.len() > LARGEST {
            return Err(useless("has more than 1 MiB"));
        }
        if body.capacity() < body.len() + piece.len() {
            let mut wider = Vec::with_capacity((body.capacity() * 2).max(body.len() + piece.len()));
            wider.extend_from_slice(&body);
            body.zeroize();
            body = Zeroizing::new(wider);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

fn useless(reason: &str) -> Fault {
    Fault::Refused(format!("the secret in Vault {reason}"))
}

/// By status: <https://developer.hashicorp.com/vault/api-docs#http-status-codes>.
fn otherwise(status: u16) -> Fault {
    match status {
        429 => Fault::Away("Vault has too much to do (429)".to_owned()),
        503 => Fault::Away("Vault is sealed or in maintenance (503)".to_owned()),
        472 | 473 | 500.. => Fault::Away(format!("Vault cannot answer now ({status})")),
        300..400 => Fault::Refused(format!("Vault sends elsewhere ({status}): name the active node, or what leads there, in {URL}")),
        _ => Fault::Refused(format!("Vault answers with {status}")),
    }
}

/// Without the address: it is in the settings.
fn away(error: reqwest::Error) -> Fault {
    Fault::Away(format!("Vault cannot be reached: {}", causes(&error.without_url().into())))
}
