//! The whole service in this process, on a port of its own, with a database, a clock and a mailbox of its own.

pub use super::people::{Actor, Answer, Letter};

use super::{TestDatabase, log};
use metrics_exporter_prometheus::PrometheusBuilder;
use portcullis::{
    access::role::{self, Assignment},
    accounts::{self, Account, Email, Name},
    audit::alerts::signals::Signals,
    credentials::{
        self,
        api_key::UsedKeys,
        password::{HashPool, Password, Passwords},
    },
    jobs,
    platform::{
        clock::Clock,
        fence::{Lookup, System},
        keyring::signing::Algorithm,
        mail::{Mailer, Transport},
        redis::Redis,
        window::Windows,
    },
    server::{
        Parts, Service,
        tls::{Certificates, Identity},
    },
    sessions::{revocation::Revocations, seen::Seen},
    settings::{Settings, Tls},
    state::{State, federation, fenced, in_hand, policies},
};
use reqwest::{Certificate, Client, redirect};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;
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
    authority: Certificate,
    mailbox: Arc<tempfile::TempDir>,
}

/// A client without cookies that speaks HTTP/1.1 only, or what the two sides agree on.
fn client(authority: Certificate, only_http1: bool) -> Client {
    let client = Client::builder().tls_certs_only([authority]).redirect(redirect::Policy::none()).timeout(Duration::from_secs(20)).no_proxy();
    if only_http1 { client.http1_only() } else { client }.build().unwrap()
}

/// Whether the suite is to speak HTTP/1.1: over TLS the two sides agree on HTTP/2 otherwise.
pub fn over_http1() -> bool {
    std::env::var("TEST_HTTP").is_ok_and(|version| version == "1.1")
}

/// Numbers that no ordinary test meets.
const ROOMY: [(&str, &str); 27] = [
    ("PORTCULLIS_PUBLIC_URL", PUBLIC_URL),
    ("PORTCULLIS_HTTPS_LISTEN", "127.0.0.1:0"),
    ("PORTCULLIS_HTTP_LISTEN", "off"),
    ("PORTCULLIS_OPERATOR_LISTEN", "off"),
    ("PORTCULLIS_WORKERS", "1"),
    ("PORTCULLIS_ADDRESS_QUOTA_BURST", "100000"),
    ("PORTCULLIS_ADDRESS_REQUESTS_IN_HAND", "10000"),
    ("PORTCULLIS_PERSON_QUOTA_BURST", "100000"),
    ("PORTCULLIS_API_KEY_QUOTA_BURST", "100000"),
    ("PORTCULLIS_REFRESH_QUOTA", "10000"),
    ("PORTCULLIS_WRONG_PROOF_QUOTA", "10000"),
    ("PORTCULLIS_PASSKEY_OPTIONS_QUOTA", "10000"),
    ("PORTCULLIS_WRONG_PASSKEY_QUOTA", "10000"),
    ("PORTCULLIS_MAILBOX_CODE_QUOTA", "1000"),
    ("PORTCULLIS_FACTOR_CHANGE_QUOTA", "1000"),
    ("PORTCULLIS_OAUTH_QUOTA", "10000"),
    ("PORTCULLIS_LETTER_QUOTA", "100"),
    ("PORTCULLIS_LETTER_DAY_QUOTA", "1000"),
    ("PORTCULLIS_LETTER_ADDRESS_QUOTA", "99"),
    ("PORTCULLIS_LETTER_ADDRESS_DAY_QUOTA", "999"),
    ("PORTCULLIS_LETTER_NETWORK_DAY_QUOTA", "100000"),
    ("PORTCULLIS_LETTER_COOLDOWN_SECONDS", "0"),
    ("PORTCULLIS_LETTER_NETWORK_QUOTA", "10000"),
    ("PORTCULLIS_LOGIN_NETWORK_QUOTA", "10000"),
    ("PORTCULLIS_NEW_PASSWORD_QUOTA", "1000"),
    ("PORTCULLIS_LOGIN_QUOTA", "1000"),
    ("PORTCULLIS_HASH_THREADS", "1"),
];

impl TestApp {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With some settings changed.
    pub async fn with(changed: &[(&str, &str)]) -> Self {
        let algorithm = changed.iter().find(|(name, _)| *name == "PORTCULLIS_TOKEN_ALGORITHM").and_then(|(_, name)| Algorithm::named(name));
        Self::on(TestDatabase::signing_with(algorithm.unwrap_or(Algorithm::EdDsa)).await, Arc::new(tempfile::tempdir().unwrap()), changed).await
    }

    /// With some settings changed, and with names that lead where the test says.
    pub async fn with_names(changed: &[(&str, &str)], names: Arc<dyn Lookup>) -> Self {
        Self::reaching(TestDatabase::signing_with(Algorithm::EdDsa).await, Arc::new(tempfile::tempdir().unwrap()), changed, names).await
    }

    /// Another node on the same database, whose feed is heard through these options.
    pub async fn node(&self, feed: Option<PgConnectOptions>) -> Self {
        let mut database = self.database.seen_by_another_node().await;
        database.feed = feed.unwrap_or(database.feed);
        Self::on(database, self.mailbox.clone(), &[]).await
    }

    /// Another node on the same database, with some settings changed.
    pub async fn node_with(&self, changed: &[(&str, &str)]) -> Self {
        Self::on(self.database.seen_by_another_node().await, self.mailbox.clone(), changed).await
    }

    async fn on(database: TestDatabase, mailbox: Arc<tempfile::TempDir>, changed: &[(&str, &str)]) -> Self {
        Self::reaching(database, mailbox, changed, Arc::new(System)).await
    }

    async fn reaching(database: TestDatabase, mailbox: Arc<tempfile::TempDir>, changed: &[(&str, &str)], names: Arc<dyn Lookup>) -> Self {
        log::install();
        let values: HashMap<String, String> = ROOMY.iter().chain(changed).map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let settings = Arc::new(Settings::from_map(values).unwrap());
        let clock = database.clock.clone();
        let keyring = database.keyring.clone();
        let redis = settings.redis.clone().map(Redis::new).transpose().unwrap();
        let hashing = settings.hashing;
        let passwords = Passwords::new(HashPool::start(1, hashing.queue).unwrap(), keyring.clone(), hashing.cost);
        let state = State {
            in_hand: in_hand(&settings),
            federation: federation(&settings).unwrap(),
            policies: policies(settings.policies.as_deref()).unwrap(),
            fenced: fenced(&settings, names).unwrap(),
            settings,
            pool: database.pool.clone(),
            clock: clock.clone(),
            keyring,
            passwords,
            revocations: Revocations::default(),
            redis,
            windows: Windows::new(10_000),
            seen: Seen::default(),
            keys_used: UsedKeys::default(),
            signals: Signals::default(),
            letter_waits: Arc::default(),
            webhook_waits: Arc::default(),
            export_waits: Arc::default(),
            inbox_waits: Arc::default(),
        };

        let tls = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tls");
        std::fs::create_dir_all(&tls).unwrap();
        // makes the authority on first use
        let identity = Identity::for_development(&tls, &clock).unwrap();
        let certificates = match state.settings.tls.clone() {
            Tls::Proxy => None,
            Tls::Files(files) => Some(Certificates::Files(files)),
            _ => Some(Certificates::Fixed(identity)),
        };
        let authority = Certificate::from_pem(&std::fs::read(portcullis::server::tls::authority_certificate(&tls)).unwrap()).unwrap();
        let client = client(authority.clone(), over_http1());

        let mailer = Mailer { transport: Transport::Files(mailbox.path().into()), from: "portcullis@localhost".parse().unwrap() };
        let recorder = PrometheusBuilder::new().build_recorder().handle();
        let service = Service::start(Parts {
            state: state.clone(),
            mailer,
            certificates,
            recorder,
            feed: tokio::sync::watch::channel(database.feed.clone()).1,
        })
        .unwrap();
        let app = Self { database, state, clock, service, client, authority, mailbox };
        app.wait_for("the revocation feed", async || app.state.revocations.is_trusted().then_some(())).await;
        app
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

    /// The same service, spoken to over HTTP/1.1 and over HTTP/2.
    pub fn clients(&self) -> [Client; 2] {
        [true, false].map(|only_http1| client(self.authority.clone(), only_http1))
    }

    /// Somebody who is not signed in.
    pub fn visitor(&self) -> Actor<'_> {
        Actor { app: self, cookie: None, csrf: None, device: None, refresh: None, tie: None, bearer: None, refresh_in_body: None }
    }

    /// A person with an account, a live session and this role.
    pub async fn member_with(&self, email: &str, role: &str) -> Actor<'_> {
        self.create_account(email).await;
        let given = sqlx::query("INSERT INTO user_roles (user_id, role, granted_at) SELECT id, $2, now() FROM users WHERE email = $1")
            .bind(email)
            .bind(role)
            .execute(&self.database.pool)
            .await
            .unwrap();
        assert_eq!(given.rows_affected(), 1);
        self.sign_in(email).await
    }

    pub async fn administrator(&self) -> Actor<'_> {
        self.member_with("root@example.org", "administrator").await
    }

    /// The first administrator where nobody can register, as the command line makes one.
    pub async fn planted_administrator(&self) -> Actor<'_> {
        let hash = self.state.passwords.create(&Password::new(PASSWORD), vec![]).await.unwrap();
        let (pool, email) = (&self.database.pool, "root@example.org");
        let account = Account::new(&Email::parse(email).unwrap(), &Name::parse("Root").unwrap(), self.clock.now());
        let mut connection = pool.acquire().await.unwrap();
        accounts::store::insert(&mut connection, &account).await.unwrap();
        credentials::store::set_password(&mut connection, account.id.0, &hash, self.clock.now()).await.unwrap();
        let wanted = [Assignment { role: "administrator".into(), expires_at: None }];
        role::assign(&mut connection, role::Actor::CommandLine, role::Holder::Person(account.id.0), &wanted, self.clock.now()).await.unwrap();
        self.sign_in(email).await
    }

    /// What the clock would run within a minute.
    pub async fn run_jobs(&self) {
        jobs::run_all(&self.state).await.unwrap();
    }

    pub async fn try_jobs(&self) -> Result<(), portcullis::platform::db::StoreError> {
        jobs::run_all(&self.state).await
    }

    /// A role with these permissions, as an administrator would make it.
    pub async fn role(&self, name: &str, permissions: &[&str]) {
        let permissions: Vec<String> = permissions.iter().map(|&permission| permission.into()).collect();
        sqlx::query("INSERT INTO roles (name, description, created_at) VALUES ($1, 'x', now())")
            .bind(name)
            .execute(&self.database.pool)
            .await
            .unwrap();
        sqlx::query("INSERT INTO role_permissions SELECT $1, unnest($2::text[])")
            .bind(name)
            .bind(&permissions)
            .execute(&self.database.pool)
            .await
            .unwrap();
    }

    /// The id of an account.
    pub async fn id_of(&self, email: &str) -> String {
        sqlx::query_scalar("SELECT id::text FROM users WHERE email = $1").bind(email).fetch_one(&self.database.pool).await.unwrap()
    }

    /// The newest letter to an address whose text has this in it; waits for it.
    pub async fn letter_about(&self, email: &str, part: &str) -> Letter {
        self.wait_for(&format!("a letter to {email} about {part}"), async || {
            self.letters_to(email).into_iter().rfind(|letter| letter.text.contains(part))
        })
        .await
    }

    /// A person with an account and a live session.
    pub async fn member(&self, email: &str) -> Actor<'_> {
        self.create_account(email).await;
        self.sign_in(email).await
    }

    pub async fn create_account(&self, email: &str) {
        let begun = self.visitor().post("/v1/auth/register", json!({ "email": email })).await;
        assert_eq!(begun.status, 202, "{}", begun.text);
        self.all_letters_sent().await;
        let token = self.letter_about(email, "/go/register").await.token.expect("a link");
        let done = self.visitor().post("/v1/auth/register/complete", json!({ "token": token, "name": "Ada", "password": PASSWORD })).await;
        assert_eq!(done.status, 201, "{}", done.text);
    }

    pub async fn sign_in(&self, email: &str) -> Actor<'_> {
        let mut visitor = self.visitor();
        let answer = visitor.sign_in(email, PASSWORD).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        visitor
    }

    /// A person with an account and a session with tokens; the refresh token comes in the body and is given back.
    pub async fn token_member(&self, email: &str) -> (Actor<'_>, String) {
        self.create_account(email).await;
        self.token_sign_in(email).await
    }

    pub async fn token_sign_in(&self, email: &str) -> (Actor<'_>, String) {
        let mut visitor = self.visitor();
        let body = json!({ "email": email, "password": PASSWORD, "transport": "token", "refresh_in": "body" });
        let answer = visitor.post("/v1/auth/login", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        visitor.bearer = answer.json()["access_token"].as_str().map(str::to_owned);
        (visitor, answer.json()["refresh_token"].as_str().unwrap().to_owned())
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

    /// The job that does this comes round every few seconds.
    pub async fn marks_of_use_written(&self) {
        self.state.seen.write(&self.state.pool, self.state.settings.sessions.idle).await.unwrap();
        self.state.keys_used.write(&self.state.pool).await.unwrap();
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
