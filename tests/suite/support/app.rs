//! The whole service in this process, on a port of its own, with a database, a clock and a mailbox of its own.

use super::{TestDatabase, log};
use metrics_exporter_prometheus::PrometheusBuilder;
use portcullis::{
    credentials::password::{HashPool, Passwords},
    platform::{
        clock::Clock,
        mail::{Mailer, Transport},
    },
    server::{Parts, Service, tls::Identity},
    settings::Settings,
    state::State,
};
use reqwest::{Certificate, Client, Method, RequestBuilder, StatusCode, header::HeaderMap, redirect};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

pub const PASSWORD: &str = "wet gravel under a tin moon";
pub const PUBLIC_URL: &str = "https://localhost:8443";

pub struct TestApp {
    pub database: TestDatabase,
    pub state: State,
    pub clock: Clock,
    pub service: Service,
    client: Client,
    mailbox: tempfile::TempDir,
}

/// Numbers that no ordinary test meets.
const ROOMY: [(&str, &str); 9] = [
    ("PORTCULLIS_PUBLIC_URL", PUBLIC_URL),
    ("PORTCULLIS_HTTPS_LISTEN", "127.0.0.1:0"),
    ("PORTCULLIS_HTTP_LISTEN", "off"),
    ("PORTCULLIS_OPERATOR_LISTEN", "off"),
    ("PORTCULLIS_WORKERS", "1"),
    ("PORTCULLIS_ADDRESS_QUOTA_BURST", "100000"),
    ("PORTCULLIS_LETTER_QUOTA", "100"),
    ("PORTCULLIS_LOGIN_QUOTA", "1000"),
    ("PORTCULLIS_HASH_THREADS", "1"),
];

impl TestApp {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With some settings changed.
    pub async fn with(changed: &[(&str, &str)]) -> Self {
        log::install();
        let values: HashMap<String, String> = ROOMY.iter().chain(changed).map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let settings = Arc::new(Settings::from_map(values).unwrap());
        let database = TestDatabase::create().await;
        let clock = database.clock.clone();
        let keyring = database.keyring.clone();
        let hashing = settings.hashing;
        let passwords = Passwords::new(HashPool::start(1, hashing.queue).unwrap(), keyring.clone(), hashing.cost);
        let state = State { settings, pool: database.pool.clone(), clock: clock.clone(), keyring, passwords, letter_waits: Arc::default() };

        let tls = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tls");
        std::fs::create_dir_all(&tls).unwrap();
        let identity = Identity::for_development(&tls, &clock).unwrap();
        let authority = Certificate::from_pem(&std::fs::read(portcullis::server::tls::authority_certificate(&tls)).unwrap()).unwrap();
        let client = Client::builder()
            .tls_certs_only([authority])
            .redirect(redirect::Policy::none())
            .timeout(Duration::from_secs(20))
            .no_proxy()
            .build()
            .unwrap();

        let mailbox = tempfile::tempdir().unwrap();
        let mailer = Mailer { transport: Transport::Files(mailbox.path().into()), from: "portcullis@localhost".parse().unwrap() };
        let recorder = PrometheusBuilder::new().build_recorder().handle();
        let service = Service::start(Parts { state: state.clone(), mailer, identity, recorder }).unwrap();
        Self { database, state, clock, service, client, mailbox }
    }

    pub fn address(&self) -> SocketAddr {
        self.service.https
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.service.https)
    }

    /// A client without cookies.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Somebody who is not signed in.
    pub fn visitor(&self) -> Actor<'_> {
        Actor { app: self, cookie: None, csrf: None }
    }

    /// A person with an account and a live session.
    pub async fn member(&self, email: &str) -> Actor<'_> {
        self.create_account(email).await;
        self.sign_in(email).await
    }

    pub async fn create_account(&self, email: &str) {
        let begun = self.visitor().post("/v1/auth/register", json!({ "email": email })).await;
        assert_eq!(begun.status, 202, "{}", begun.text);
        let token = self.letter_to(email).await.token.expect("a link");
        let done = self.visitor().post("/v1/auth/register/complete", json!({ "token": token, "name": "Ada", "password": PASSWORD })).await;
        assert_eq!(done.status, 201, "{}", done.text);
    }

    pub async fn sign_in(&self, email: &str) -> Actor<'_> {
        let mut visitor = self.visitor();
        let answer = visitor.sign_in(email, PASSWORD).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        visitor
    }

    /// All letters to an address, the oldest first.
    pub fn letters_to(&self, email: &str) -> Vec<Letter> {
        let mut paths: Vec<_> = std::fs::read_dir(self.mailbox.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
            .collect();
        paths.sort();
        let letters = paths.iter().map(|path| std::fs::read_to_string(path).unwrap());
        letters.filter(|text| text.contains(&format!("To: {email}\r\n"))).map(Letter::read).collect()
    }

    /// The newest letter to an address; waits for the first one.
    pub async fn letter_to(&self, email: &str) -> Letter {
        self.wait_for(&format!("a letter to {email}"), async || self.letters_to(email).pop()).await
    }

    /// Waits until every letter is out.
    pub async fn all_letters_sent(&self) {
        self.wait_for("the outbox to be empty", async || {
            let waiting: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox").fetch_one(&self.database.pool).await.unwrap();
            (waiting == 0).then_some(())
        })
        .await;
    }

    pub async fn wait_for<T>(&self, what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A number from the database.
    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.database.pool).await.unwrap()
    }
}

pub struct Letter {
    pub text: String,
    pub token: Option<String>,
    pub code: Option<String>,
}

impl Letter {
    fn read(text: String) -> Self {
        let part = |start: &str, belongs: fn(char) -> bool| {
            let rest = text.split(start).nth(1)?;
            Some(rest.chars().take_while(|c| belongs(*c)).collect::<String>())
        };
        let token = part("#token=", |c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        let code = part("where you began: ", |c| c.is_ascii_digit());
        Self { token, code, text }
    }
}

/// Somebody with a browser: keeps the session cookie and the CSRF token.
#[derive(Clone)]
pub struct Actor<'a> {
    app: &'a TestApp,
    pub cookie: Option<String>,
    pub csrf: Option<String>,
}

impl Actor<'_> {
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.app.client.request(method, self.app.url(path));
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
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

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::PATCH, path).json(&body)).await
    }

    pub async fn sign_in(&mut self, email: &str, password: &str) -> Answer {
        let answer = self.post("/v1/auth/login", json!({ "email": email, "password": password })).await;
        if answer.status == 200 {
            self.cookie = Some(answer.cookie().expect("a session cookie"));
            self.csrf = answer.json()["csrf_token"].as_str().map(str::to_owned);
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

impl Answer {
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        Self { status: response.status(), headers: response.headers().clone(), text: response.text().await.expect("a body") }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// The error code in the envelope; the empty text when there is none.
    pub fn code(&self) -> String {
        serde_json::from_str::<Value>(&self.text).ok().and_then(|body| Some(body["error"]["code"].as_str()?.to_owned())).unwrap_or_default()
    }

    /// `name=value` of the session cookie that this answer sets.
    pub fn cookie(&self) -> Option<String> {
        let set = self.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).find(|set| set.starts_with("__Host-portcullis="))?;
        set.split(';').next().map(str::to_owned)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}
