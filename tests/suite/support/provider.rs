//! An OpenID provider of the test's own, on this machine without TLS: it keeps the rules, or breaks the one that it is told to. It also
//! speaks as GitHub does, and makes access tokens as another service would.

use super::{
    canaries,
    heard::{Heard, json_answer},
    people::{Actor, Answer},
};
use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis::platform::keyring::signing::{Algorithm, SigningKey};
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::{
    collections::HashMap,
    io::{BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
};
use url::Url;

pub const CLIENT: &str = "portcullis-at-corp";
pub const CLIENT_SECRET: &str = "dGhpcyBpcyBhIGNsaWVudA";
/// Who people are, unless a test says otherwise.
pub const SUBJECT: &str = "248289761001";

/// What the provider is to do; changed by tests at any time.
pub struct Behaviour {
    /// Laid over the claims of ID tokens; `null` takes one away.
    pub claims: Value,
    /// Laid over the metadata.
    pub metadata: Value,
    /// Makes the ID token out of claims, where it is not to be signed as it should.
    pub forge: Option<fn(&Provider, &Value) -> String>,
    /// Answers this path with this, as it is.
    pub instead: HashMap<&'static str, Vec<u8>>,
    /// Does not answer this path.
    pub silent: Option<&'static str>,
    /// The addresses that GitHub would tell.
    pub emails: Value,
    pub now: i64,
}

struct Grant {
    nonce: Option<String>,
    challenge: String,
    redirect: String,
}

pub struct Provider {
    pub url: String,
    pub key: SigningKey,
    pub other_key: SigningKey,
    behaviour: Mutex<Behaviour>,
    grants: Mutex<HashMap<String, Grant>>,
    asked: Mutex<HashMap<String, usize>>,
}

fn key(algorithm: Algorithm) -> SigningKey {
    SigningKey::from_der(algorithm, &algorithm.generate().unwrap()).unwrap()
}

impl Provider {
    pub fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let behaviour = Behaviour {
            claims: json!({}),
            metadata: json!({}),
            forge: None,
            instead: HashMap::new(),
            silent: None,
            emails: json!([{ "email": "ada@example.org", "primary": true, "verified": true }]),
            now: portcullis::platform::clock::Clock::system().now().unix_timestamp(),
        };
        let this = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            key: key(Algorithm::Es256),
            other_key: key(Algorithm::Es256),
            behaviour: Mutex::new(behaviour),
            grants: Mutex::default(),
            asked: Mutex::default(),
        });
        let provider = this.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let provider = provider.clone();
                thread::spawn(move || provider.serve(stream).map_err(drop));
            }
        });
        this
    }

    pub fn behave(&self) -> MutexGuard<'_, Behaviour> {
        self.behaviour.lock().unwrap()
    }

    /// What its ID tokens say besides; a test says it once.
    pub fn saying(&self, claims: Value) {
        self.behave().claims = claims;
    }

    /// How often this path was asked for.
    pub fn asked(&self, path: &str) -> usize {
        self.asked.lock().unwrap().get(path).copied().unwrap_or_default()
    }

    /// An entry for `PORTCULLIS_IDENTITY_PROVIDERS`.
    pub fn entry(&self, name: &str, trust_email: bool) -> Value {
        json!({ "name": name, "issuer": self.url, "client_id": CLIENT, "client_secret": CLIENT_SECRET, "trust_email": trust_email })
    }

    /// The same as a GitHub.
    pub fn github_entry(&self) -> Value {
        json!({
            "name": "github", "preset": "github", "client_id": CLIENT, "client_secret": CLIENT_SECRET,
            "authorization_endpoint": format!("{}/authorize", self.url),
            "token_endpoint": format!("{}/github/token", self.url),
            "user_endpoint": format!("{}/github/user", self.url),
            "emails_endpoint": format!("{}/github/emails", self.url),
        })
    }

    /// What the person does there: signs in, and is sent back with what is returned.
    pub fn authorize(&self, authorization_url: &str) -> HashMap<String, String> {
        let url = Url::parse(authorization_url).unwrap();
        assert!(authorization_url.starts_with(&format!("{}/authorize?", self.url)), "{authorization_url}");
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!((query["response_type"].as_str(), query["client_id"].as_str(), query["code_challenge_method"].as_str()), ("code", CLIENT, "S256"));
        let code = portcullis::platform::crypto::SecretToken::generate().expose().to_owned();
        let grant = Grant { nonce: query.get("nonce").cloned(), challenge: query["code_challenge"].clone(), redirect: query["redirect_uri"].clone() };
        self.grants.lock().unwrap().insert(code.clone(), grant);
        let mut back: HashMap<String, String> = [("state", query["state"].clone()), ("code", code)].map(|(name, value)| (name.into(), value)).into();
        // GitHub does not name itself
        if query.contains_key("nonce") && self.behave().metadata["authorization_response_iss_parameter_supported"] != json!(false) {
            back.insert("iss".into(), self.url.clone());
        }
        back
    }

    /// An access token for another service, signed as its issuer would.
    pub fn access_token(&self, claims: Value) -> String {
        let now = self.behave().now;
        let usual = json!({ "iss": self.url, "sub": SUBJECT, "aud": "portcullis", "iat": now, "exp": now + 600, "jti": "1" });
        self.key.sign("at+jwt", &laid_over(usual, &claims)).unwrap()
    }

    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(heard) = Heard::read(&mut reader)? {
            let path = heard.head[0].split(' ').nth(1).unwrap().to_owned();
            *self.asked.lock().unwrap().entry(path.clone()).or_default() += 1;
            if self.behave().silent == Some(path.as_str()) {
                continue;
            }
            let raw = self.behave().instead.get(path.as_str()).cloned();
            let form: HashMap<String, String> = url::form_urlencoded::parse(&heard.body).into_owned().collect();
            let answer = raw.unwrap_or_else(|| {
                let (status, body) = self.answer(&path, &form, heard.header("authorization"));
                json_answer(status, &body.to_string())
            });
            stream.write_all(&answer)?;
        }
        Ok(())
    }

    fn answer(&self, path: &str, form: &HashMap<String, String>, authorization: Option<&str>) -> (u16, Value) {
        match path {
            "/.well-known/openid-configuration" => {
                let at = |path: &str| format!("{}{path}", self.url);
                let usual = json!({
                    "issuer": self.url, "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"), "jwks_uri": at("/jwks"),
                    "token_endpoint_auth_methods_supported": ["client_secret_basic"], "code_challenge_methods_supported": ["S256"],
                    "authorization_response_iss_parameter_supported": true,
                });
                (200, laid_over(usual, &self.behave().metadata))
            }
            "/jwks" => (200, json!({ "keys": [self.key.jwk()] })),
            "/token" | "/github/token" => self.exchange(path, form, authorization),
            "/github/user" if authorization == Some("Bearer gho_token") => (200, json!({ "id": 583_231, "login": "ada", "name": "Ada" })),
            "/github/emails" if authorization == Some("Bearer gho_token") => (200, self.behave().emails.clone()),
            _ => (404, json!({ "error": "not_found" })),
        }
    }

    fn exchange(&self, path: &str, form: &HashMap<String, String>, authorization: Option<&str>) -> (u16, Value) {
        let refused = |error: &str| (400, json!({ "error": error, "error_description": "<canary> of the provider" }));
        let basic = authorization
            .and_then(|header| header.strip_prefix("Basic "))
            .map(|text| base64::engine::general_purpose::STANDARD.decode(text).unwrap());
        let shown = match basic {
            Some(bytes) => String::from_utf8(bytes).unwrap(),
            None => format!("{}:{}", form.get("client_id").map_or("", String::as_str), form.get("client_secret").map_or("", String::as_str)),
        };
        if shown != format!("{CLIENT}:{CLIENT_SECRET}") {
            return refused("invalid_client");
        }
        // a code is good once
        let Some(grant) = form.get("code").and_then(|code| self.grants.lock().unwrap().remove(code)) else { return refused("invalid_grant") };
        let verifier = form.get("code_verifier").cloned().unwrap_or_default();
        let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
        if challenge != grant.challenge || form.get("redirect_uri") != Some(&grant.redirect) {
            return refused("invalid_grant");
        }
        if path == "/github/token" {
            return (200, json!({ "access_token": "gho_token", "token_type": "bearer", "scope": "read:user" }));
        }
        let (overlay, forge, now) = {
            let behaviour = self.behave();
            (behaviour.claims.clone(), behaviour.forge, behaviour.now)
        };
        let usual = json!({
            "iss": self.url, "sub": SUBJECT, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": grant.nonce,
            "email": "ada@example.org", "email_verified": true, "name": "Ada",
        });
        let claims = laid_over(usual, &overlay);
        let id_token = forge.map_or_else(|| self.key.sign("JWT", &claims).unwrap(), |forge| forge(self, &claims));
        [id_token.as_str(), verifier.as_str(), CLIENT_SECRET].into_iter().for_each(canaries::token);
        (200, json!({ "access_token": "opaque", "token_type": "Bearer", "expires_in": 300, "id_token": id_token }))
    }
}

/// A sign-in, or a linking, that was begun.
pub struct Begun {
    /// Where the person is sent.
    pub url: String,
    /// What binds it to the browser: `name=value`.
    pub cookie: String,
}

/// Begins it with this call.
pub async fn begin(actor: &Actor<'_>, path: &str, body: Option<Value>) -> Begun {
    // linking takes the owner's agreement by mail, where there is no second factor
    if path.starts_with("/v1/me/") && actor.get("/v1/me/mfa").await.json()["is_on"] == false {
        actor.agree_by_mail().await;
    }
    let request = actor.request(Method::POST, path);
    let answer = Answer::of(if let Some(body) = body { request.json(&body) } else { request }).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let cookie = answer.cookie_named("__Host-portcullis-oauth").expect("a cookie");
    Begun { url: answer.json()["authorization_url"].as_str().unwrap().to_owned(), cookie }
}

/// Posts what the provider sent the browser back with, as our page does.
pub async fn come_back(actor: &Actor<'_>, name: &str, cookie: Option<&str>, back: &HashMap<String, String>) -> Answer {
    let mut request = actor.request(Method::POST, &format!("/v1/auth/oauth/{name}/callback"));
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    Answer::of(request.json(back)).await
}

impl Provider {
    /// The whole way, as this person.
    pub async fn sign_in(&self, actor: &Actor<'_>, name: &str, body: Value) -> Answer {
        let Begun { url, cookie } = begin(actor, &format!("/v1/auth/oauth/{name}/authorize"), Some(body)).await;
        come_back(actor, name, Some(&cookie), &self.authorize(&url)).await
    }

    /// The whole way of linking.
    pub async fn link(&self, actor: &Actor<'_>, name: &str) -> Answer {
        let Begun { url, cookie } = begin(actor, &format!("/v1/me/identities/{name}/authorize"), None).await;
        come_back(actor, name, Some(&cookie), &self.authorize(&url)).await
    }
}

/// A token of this header, these claims and this signature, whatever they are.
pub fn raw_token(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let message = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn laid_over(usual: Value, overlay: &Value) -> Value {
    let Value::Object(mut all) = usual else { panic!("an object") };
    let empty = Map::new();
    for (name, value) in overlay.as_object().unwrap_or(&empty) {
        if value.is_null() {
            all.remove(name)
        } else {
            all.insert(name.clone(), value.clone())
        };
    }
    Value::Object(all)
}
