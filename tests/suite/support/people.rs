//! Those who call the service, what they send, and what they get: answers and letters.

use super::{
    app::{PASSWORD, TestApp},
    canaries,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use std::io::Read;
use totp_rs::Totp;

pub struct Letter {
    pub text: String,
    pub token: Option<String>,
    pub code: Option<String>,
}

impl Letter {
    pub fn read(text: String) -> Self {
        let part = |start: &str, belongs: fn(char) -> bool| {
            let rest = text.split(start).nth(1)?;
            Some(rest.chars().take_while(|c| belongs(*c)).collect::<String>())
        };
        let token = part("#token=", |c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        let code = part("where you began: ", |c| c.is_ascii_digit());
        token.iter().for_each(|token| canaries::token(token));
        code.iter().for_each(|code| canaries::code(code));
        Self { token, code, text }
    }
}

/// An authenticator app with one account in it.
pub struct Authenticator(Totp);

impl Authenticator {
    /// As an app reads the QR code.
    pub fn scan(uri: &str) -> Self {
        Self(Totp::from_url(uri).unwrap())
    }

    /// What it shows now, by the service's clock.
    pub fn code(&self, app: &TestApp) -> String {
        self.code_in(app, 0)
    }

    /// What it shows so many steps from now.
    pub fn code_in(&self, app: &TestApp, steps: i64) -> String {
        let at = app.clock.now().unix_timestamp() + 30 * steps;
        let code = self.0.generate(at.try_into().unwrap()).to_string();
        canaries::code(&code);
        code
    }
}

/// Somebody with a browser: keeps the session cookie and the CSRF token.
#[derive(Clone)]
pub struct Actor<'a> {
    pub app: &'a TestApp,
    pub cookie: Option<String>,
    pub csrf: Option<String>,
    /// The known-device cookie.
    pub device: Option<String>,
    /// The refresh token's cookie.
    pub refresh: Option<String>,
    /// What ties it to this browser.
    pub tie: Option<String>,
    /// The access token.
    pub bearer: Option<String>,
    /// The newest refresh token that came in a body.
    pub refresh_in_body: Option<String>,
}

/// What an access token says.
pub fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

impl Actor<'_> {
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.app.client().request(method, self.app.url(path));
        let cookies: Vec<&str> = [&self.cookie, &self.device, &self.refresh, &self.tie].into_iter().flatten().map(String::as_str).collect();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        if let Some(token) = &self.bearer {
            request = request.bearer_auth(token);
        }
        if let Some(token) = &self.csrf {
            request = request.header("x-csrf-token", token);
        }
        request
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(&body)).await
    }

    /// The same from another address, as a trusted proxy tells it.
    pub fn post_from(&self, address: &str, path: &str, body: Value) -> impl Future<Output = Answer> + use<> {
        Answer::of(self.request(Method::POST, path).header("x-forwarded-for", address).json(&body))
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::PATCH, path).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::PUT, path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path)).await
    }

    /// Follows the link in a letter, as its page does: without cookies.
    pub async fn follow(&self, path: &str, letter: &Letter) -> Answer {
        self.app.visitor().post(path, json!({ "token": letter.token.as_deref().expect("a link") })).await
    }

    /// The same person at another node.
    pub fn at<'n>(&self, node: &'n TestApp) -> Actor<'n> {
        let Actor { cookie, csrf, device, refresh, tie, bearer, refresh_in_body, .. } = self.clone();
        Actor { app: node, cookie, csrf, device, refresh, tie, bearer, refresh_in_body }
    }

    /// Signs in with tokens, as a page does: the refresh token in its cookies.
    pub async fn sign_in_by_page(&mut self, email: &str) -> Answer {
        let answer = self.post("/v1/auth/login", json!({ "email": email, "password": PASSWORD, "transport": "token" })).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        self.refresh = answer.cookie_named("__Secure-portcullis-refresh");
        self.tie = answer.cookie_named("__Host-portcullis-refresh-tie");
        answer
    }

    /// Shows once more who it is, and goes on with what that brings.
    pub async fn step_up(&mut self, shown: Value) -> Answer {
        let answer = self.post("/v1/auth/step-up", shown).await;
        if answer.status == 200 {
            self.renew(&answer, &answer.json());
        }
        answer
    }

    /// Takes over what carries the session from here on.
    pub fn renew(&mut self, answer: &Answer, session: &Value) {
        self.cookie = answer.cookie().or(self.cookie.take());
        self.csrf = session["csrf_token"].as_str().map(str::to_owned).or(self.csrf.take());
        let token = session["tokens"]["access_token"].as_str().or(session["access_token"].as_str());
        self.bearer = token.map(str::to_owned).or(self.bearer.take());
        self.refresh_in_body = session["tokens"]["refresh_token"].as_str().map(str::to_owned).or(self.refresh_in_body.take());
    }

    /// Agrees by mail to a second factor or another way in.
    pub async fn agree_by_mail(&self) {
        let email = self.get("/v1/me").await.json()["email"].as_str().unwrap().to_owned();
        let asked = self.post("/v1/me/mailbox", json!({})).await;
        assert_eq!(asked.status, 202, "{}", asked.text);
        self.app.all_letters_sent().await;
        let letter = self.app.letter_about(&email, "how you sign in").await;
        let done = self.post("/v1/me/mailbox/confirm", json!({ "proof_id": asked.json()["proof_id"], "code": letter.code })).await;
        assert_eq!(done.status, 204, "{}", done.text);
    }

    /// Sets an authenticator app up. Gives it, and the recovery codes.
    pub async fn add_totp(&mut self) -> (Authenticator, Vec<String>) {
        self.agree_by_mail().await;
        let begun = self.post("/v1/me/mfa/totp", json!({})).await;
        assert_eq!(begun.status, 201, "{}", begun.text);
        let authenticator = Authenticator::scan(begun.json()["otpauth_uri"].as_str().unwrap());
        let code = authenticator.code(self.app);
        let done = self.post("/v1/me/mfa/totp/confirm", json!({ "code": code })).await;
        assert_eq!(done.status, 200, "{}", done.text);
        self.renew(&done, &done.json()["session"]);
        let codes = done.json()["recovery_codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect();
        (authenticator, codes)
    }

    /// Begins a sign-in that asks for the second factor. Gives its token.
    pub async fn half_sign_in(&self, email: &str, password: &str) -> String {
        let asked = self.post("/v1/auth/login", json!({ "email": email, "password": password })).await;
        assert_eq!(asked.status, 202, "{}", asked.text);
        asked.json()["mfa_token"].as_str().unwrap().to_owned()
    }

    /// Finishes it, and is signed in if the second factor is right.
    pub async fn show(&mut self, mfa_token: &str, shown: Value) -> Answer {
        let mut body = shown;
        body["mfa_token"] = json!(mfa_token);
        let answer = self.post("/v1/auth/mfa/verify", body).await;
        if answer.status == 200 {
            self.renew(&answer, &answer.json());
            self.device = answer.cookie_named("__Host-portcullis-device").or(self.device.take());
        }
        answer
    }

    /// Exchanges a refresh token in the body.
    pub async fn exchange(&self, token: &str) -> Answer {
        self.app.visitor().post("/v1/auth/token/refresh", json!({ "refresh_token": token })).await
    }

    pub async fn sign_in(&mut self, email: &str, password: &str) -> Answer {
        let answer = self.post("/v1/auth/login", json!({ "email": email, "password": password })).await;
        if answer.status == 200 {
            self.cookie = Some(answer.cookie().expect("a session cookie"));
            self.csrf = answer.json()["csrf_token"].as_str().map(str::to_owned);
            self.device = answer.cookie_named("__Host-portcullis-device");
        }
        answer
    }
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

/// What the files of the viewer say, or nothing of what is an image.
fn decompressed(bytes: &[u8]) -> String {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).expect("gzip");
    String::from_utf8(plain).unwrap_or_default()
}

impl Answer {
    pub async fn of(request: RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let request = request.expect("a request");
        canaries::sent(&request);
        let response = client.execute(request).await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let text = match headers.get("content-encoding") {
            Some(_) => decompressed(&response.bytes().await.expect("a body")),
            None => response.text().await.expect("a body"),
        };
        let answer = Self { status, headers, text };
        canaries::received(&answer.headers, &answer.text);
        answer
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// The body without what differs from answer to answer: the request's id.
    pub fn told(&self) -> String {
        self.text.replace(self.header("x-request-id"), "")
    }

    /// The error code in the envelope; the empty text when there is none.
    pub fn code(&self) -> String {
        serde_json::from_str::<Value>(&self.text).ok().and_then(|body| Some(body["error"]["code"].as_str()?.to_owned())).unwrap_or_default()
    }

    /// `name=value` of the session cookie that this answer sets.
    pub fn cookie(&self) -> Option<String> {
        self.cookie_named("__Host-portcullis")
    }

    pub fn cookie_named(&self, name: &str) -> Option<String> {
        let mut all = self.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
        all.find(|set| set.starts_with(&format!("{name}=")))?.split(';').next().map(str::to_owned)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}
