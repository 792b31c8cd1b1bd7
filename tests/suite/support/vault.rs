//! A stand-in for HashiCorp Vault: its HTTP API as far as a reader of secrets needs it, as the documentation describes it
//! (developer.hashicorp.com/vault/api-docs: kv-v2, approle, token, system/seal-status, namespaces). Documents have versions, which can be deleted
//! and destroyed; tokens have leases, longest lives and paths that they may read; a sealed one answers nothing. It is no Vault: policies are
//! lists of paths, and nothing is kept.

use super::heard::{Heard, json_answer};
use portcullis::{platform::crypto, server::tls::Identity};
use rustls::{ServerConfig, ServerConnection, StreamOwned, sign::SingleCertAndKey};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    io::{BufReader, Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

/// Where tests keep a document, below `/v1/`.
pub const SECRET: &str = "secret/data/portcullis";

pub struct Token {
    /// `None`: it does not end.
    ends: Option<Instant>,
    /// It cannot be renewed beyond.
    longest: Option<Instant>,
    lease: Duration,
    namespace: String,
    may_read: Vec<String>,
}

pub struct Version {
    data: Value,
    deleted: bool,
    destroyed: bool,
}

/// What it has; changed by tests at any time.
pub struct Inside {
    pub sealed: bool,
    pub tokens: HashMap<String, Token>,
    /// By namespace and path below `/v1/`, `data` included.
    pub documents: HashMap<(String, String), Vec<Version>>,
    /// Role ids, secret ids and what the tokens of a login are like.
    pub roles: Vec<Role>,
    /// Answers everything with this, as it is.
    pub instead: Option<Vec<u8>>,
    /// Every request: method, path and token.
    pub asked: Vec<(String, String, Option<String>)>,
}

#[derive(Clone)]
pub struct Role {
    pub mount: &'static str,
    pub id: &'static str,
    pub secret: String,
    pub namespace: &'static str,
    /// `ZERO`: its tokens do not end.
    pub lease: Duration,
    pub longest: Duration,
    pub may_read: Vec<String>,
}

pub struct Vault {
    pub url: String,
    inside: Mutex<Inside>,
}

/// A token as Vault makes them.
pub fn token_text() -> String {
    format!("hvs.{}", crypto::hex(&crypto::random::<24>()))
}

impl Vault {
    pub fn start() -> Arc<Self> {
        Self::proving(None)
    }

    /// Over TLS with this identity, under the name `localhost`.
    pub fn proving(identity: Option<Identity>) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let inside = Inside { sealed: false, tokens: HashMap::new(), documents: HashMap::new(), roles: Vec::new(), instead: None, asked: Vec::new() };
        let url = if identity.is_some() { format!("https://localhost:{}", address.port()) } else { format!("http://{address}") };
        let this = Arc::new(Self { url, inside: Mutex::new(inside) });
        let tls = identity.map(|identity| {
            let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
            let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
            Arc::new(builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified().unwrap()))))
        });
        let vault = this.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (vault, tls) = (vault.clone(), tls.clone());
                // a client that goes away is the client's affair
                thread::spawn(move || match tls {
                    Some(config) => vault.serve(StreamOwned::new(ServerConnection::new(config).unwrap(), stream)),
                    None => vault.serve(stream),
                });
            }
        });
        this
    }

    pub fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    /// Adds a version of a document.
    pub fn put(&self, namespace: &str, path: &str, data: Value) {
        let key = (namespace.to_owned(), path.to_owned());
        self.inside().documents.entry(key).or_default().push(Version { data, deleted: false, destroyed: false });
    }

    /// Deletes the current version, and destroys it if that is wished.
    pub fn delete(&self, path: &str, destroyed: bool) {
        let mut inside = self.inside();
        let version = inside.documents.get_mut(&(String::new(), path.to_owned())).unwrap().last_mut().unwrap();
        (version.deleted, version.destroyed) = (true, destroyed);
    }

    /// A token that reads these paths and does not end.
    pub fn token(&self, may_read: &[&str]) -> String {
        let text = token_text();
        let may_read = may_read.iter().map(|path| (*path).to_owned()).collect();
        let token = Token { ends: None, longest: None, lease: Duration::ZERO, namespace: String::new(), may_read };
        self.inside().tokens.insert(text.clone(), token);
        text
    }

    /// No role and no token reads anything any more.
    pub fn forbid(&self) {
        let mut inside = self.inside();
        inside.roles.iter_mut().for_each(|role| role.may_read.clear());
        inside.tokens.values_mut().for_each(|token| token.may_read.clear());
    }

    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> usize {
        self.inside().asked.iter().filter(|(_, known, _)| known == path).count()
    }

    fn serve<S: Read + Write>(&self, stream: S) -> Option<()> {
        let mut reader = BufReader::new(stream);
        while let Some(heard) = Heard::read(&mut reader).ok()? {
            let mut words = heard.head[0].split(' ');
            let (method, path) = (words.next()?, words.next()?.trim_start_matches("/v1/"));
            let (token, namespace) = (heard.header("x-vault-token"), heard.header("x-vault-namespace").unwrap_or_default());
            // Vault refuses what did not mean to ask it (a forged request of some other server)
            assert_eq!(heard.header("x-vault-request"), Some("true"));
            self.inside().asked.push((method.to_owned(), path.to_owned(), token.map(str::to_owned)));
            let instead = self.inside().instead.clone();
            let answer = instead.unwrap_or_else(|| {
                let (status, body) = self.answer(method, path, namespace, token, &heard.body);
                let text = if body.is_null() { String::new() } else { body.to_string() };
                json_answer(status, &text)
            });
            reader.get_mut().write_all(&answer).ok()?;
            reader.get_mut().flush().ok()?;
        }
        None
    }

    fn answer(&self, method: &str, path: &str, namespace: &str, token: Option<&str>, body: &[u8]) -> (u16, Value) {
        let errors = |status, text: &str| (status, json!({ "errors": [text] }));
        let denied = || errors(403, "permission denied");
        let mut inside = self.inside();
        if inside.sealed {
            return errors(503, "Vault is sealed");
        }
        if let Some(mount) = path.strip_prefix("auth/").and_then(|rest| rest.strip_suffix("/login")).filter(|_| method == "POST") {
            let body: Value = serde_json::from_slice(body).unwrap();
            let is_asked =
                |role: &&Role| role.mount == mount && role.namespace == namespace && role.id == body["role_id"] && role.secret == body["secret_id"];
            let Some(role) = inside.roles.iter().find(is_asked).cloned() else { return errors(400, "invalid role or secret ID") };
            let text = token_text();
            let ends = (!role.lease.is_zero()).then(|| Instant::now() + role.lease);
            let longest = (!role.longest.is_zero()).then(|| Instant::now() + role.longest);
            let token = Token { ends, longest, lease: role.lease, namespace: namespace.to_owned(), may_read: role.may_read };
            inside.tokens.insert(text.clone(), token);
            return (200, auth(&text, role.lease));
        }
        // ended ones are gone, as in Vault
        let now = Instant::now();
        inside.tokens.retain(|_, token| token.ends.is_none_or(|ends| ends > now));
        let Some(text) = token else { return errors(400, "missing client token") };
        let Some(token) = inside.tokens.get_mut(text).filter(|token| token.namespace == namespace) else { return denied() };
        match (method, path) {
            ("GET", "auth/token/lookup-self") => {
                let ttl = token.ends.map_or(0, |ends| (ends - now).as_secs());
                (200, json!({ "data": { "id": text, "ttl": ttl, "renewable": token.ends.is_some(), "policies": ["default"] } }))
            }
            ("POST", "auth/token/renew-self") => {
                let Some(ends) = &mut token.ends else { return errors(400, "lease is not renewable") };
                *ends = (now + token.lease).min(token.longest.unwrap_or(now + token.lease));
                let left = *ends - now;
                (200, auth(text, left))
            }
            ("POST", "auth/token/revoke-self") => {
                inside.tokens.remove(text);
                (204, Value::Null)
            }
            ("GET", _) if path.contains("/data/") => {
                if !token.may_read.iter().any(|known| known == path) {
                    return denied();
                }
                let versions = inside.documents.get(&(namespace.to_owned(), path.to_owned())).map(Vec::as_slice).unwrap_or_default();
                let Some(version) = versions.last() else { return (404, json!({ "errors": [] })) };
                let metadata = json!({
                    "created_time": "2026-01-01T00:00:00.000000Z", "custom_metadata": null, "version": versions.len(), "destroyed": version.destroyed,
                    "deletion_time": if version.deleted { "2026-01-02T00:00:00.000000Z" } else { "" },
                });
                let data = if version.deleted { &Value::Null } else { &version.data };
                let answer = json!({ "request_id": "x", "lease_id": "", "renewable": false, "lease_duration": 0, "data": { "data": data, "metadata": metadata } });
                (if version.deleted { 404 } else { 200 }, answer)
            }
            _ => errors(404, "no handler for route"),
        }
    }
}

fn auth(token: &str, lease: Duration) -> Value {
    json!({ "auth": { "client_token": token, "accessor": "x", "policies": ["default"], "lease_duration": lease.as_secs(), "renewable": true, "token_type": "service" } })
}
