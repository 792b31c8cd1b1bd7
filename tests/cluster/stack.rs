//! The cluster as processes that can be killed: Postgres, Redis with its guard, two nodes, and the proxy before them.

use crate::{
    nginx::Nginx,
    redis_server::RedisServer,
    service::{ROOMY, free_ports},
};
use portcullis::platform::{db, local_postgres::LocalPostgres};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(30);

/// Polls until there is something.
pub async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A process of the service. Ends with the value.
pub struct Node {
    child: Child,
    _drain: thread::JoinHandle<()>,
}

impl Node {
    fn start(settings: &[(String, String)]) -> Self {
        let mut child = program(settings).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.by_ref().any(|line| line.contains("\"message\":\"serving\"")), "a node did not start");
        // kept empty, so that it can go on logging
        Self { child, _drain: thread::spawn(move || lines.for_each(drop)) }
    }

    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// SIGKILL; it is gone when this returns.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(settings: &[(String, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.env_clear().envs(settings.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
    command
}

/// Drop the nodes first.
pub struct Stack {
    pub home: (tempfile::TempDir, tempfile::TempDir),
    pub postgres: Postgres,
    pub redis: RedisServer,
    pub front: Front,
    pub nodes: [Node; 2],
}

/// What clients see, and whoever starts nodes.
pub struct Front {
    pub nginx: Nginx,
    pub addresses: [SocketAddr; 2],
    /// Past the service.
    superuser: PgConnectOptions,
    /// The passwords of as many administrators.
    passwords: Vec<String>,
    settings: Vec<(String, String)>,
}

/// A server that can lose its power.
pub struct Postgres {
    folder: PathBuf,
    data: PathBuf,
    server: Option<LocalPostgres>,
}

impl Stack {
    /// With so many people.
    pub async fn start(people: usize) -> Self {
        let home = tempfile::tempdir().unwrap();
        let postgres = Postgres::start(home.path().join("postgres")).await;
        let server = postgres.server.as_ref().unwrap();
        db::migrate(&server.owner()).await.unwrap();
        let (redis, secrets) = RedisServer::guarded();
        let addresses = free_ports().map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let nginx = Nginx::before(addresses, secrets.path(), &[]);
        let settings = settings(home.path(), secrets.path(), server, &nginx);
        let first = make(&settings, 0);
        // the first start makes what all of them need
        let others = thread::scope(|scope| {
            let made: Vec<_> = (1..people)
                .map(|n| {
                    scope.spawn({
                        let settings = &settings;
                        move || make(settings, n)
                    })
                })
                .collect();
            made.into_iter().map(|password| password.join().unwrap()).collect::<Vec<_>>()
        });
        let passwords = std::iter::once(first).chain(others).collect();
        let superuser = server.superuser().database("portcullis");
        let front = Front { nginx, addresses, superuser, passwords, settings };
        let nodes = [0, 1].map(|node| front.node(node));
        Self { home: (home, secrets), postgres, redis, front, nodes }
    }
}

impl Front {
    /// Starts the first or the second node, where the proxy looks for it.
    pub fn node(&self, which: usize) -> Node {
        let address = ("PORTCULLIS_HTTPS_LISTEN".to_owned(), self.addresses[which].to_string());
        Node::start(&self.settings.iter().cloned().chain([address]).collect::<Vec<_>>())
    }

    pub async fn database(&self) -> PgConnection {
        PgConnection::connect_with(&self.superuser).await.unwrap()
    }

    /// What one of the people says to sign in.
    pub fn credentials(&self, person: usize) -> Value {
        json!({ "email": email(person), "password": self.passwords[person], "transport": "token", "refresh_in": "body" })
    }

    /// A new session with tokens; the access token.
    pub async fn sign_in(&self, client: &reqwest::Client, person: usize) -> String {
        let answer = client.post(self.nginx.url("/v1/auth/login")).json(&self.credentials(person)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned()
    }
}

impl Postgres {
    async fn start(folder: PathBuf) -> Self {
        let server = LocalPostgres::start(&folder, &[]).await.unwrap();
        let mut connection = PgConnection::connect_with(&server.superuser()).await.unwrap();
        let data: String = sqlx::query_scalar("SHOW data_directory").fetch_one(&mut connection).await.unwrap();
        Self { folder, data: data.into(), server: Some(server) }
    }

    /// Ends it as a power failure does: nothing is written any more.
    pub async fn kill(&self) {
        let lock = self.data.join("postmaster.pid");
        let pid = std::fs::read_to_string(&lock).unwrap();
        assert!(Command::new("kill").args(["-QUIT", pid.lines().next().unwrap()]).status().unwrap().success());
        until("Postgres to be gone", async || (!lock.exists()).then_some(())).await;
    }

    /// Starts it on what it finds.
    pub async fn revive(&mut self) {
        drop(self.server.take());
        self.server = Some(LocalPostgres::start(&self.folder, &[]).await.unwrap());
    }
}

fn email(person: usize) -> String {
    format!("root{person}@example.org")
}

/// Makes an administrator; gives the password.
fn make(settings: &[(String, String)], person: usize) -> String {
    let made = program(settings).args(["admin", "create", "--email", &email(person)]).output().unwrap();
    let said = String::from_utf8_lossy(&made.stdout).into_owned();
    let password = said.lines().find_map(|line| line.strip_prefix("password (shown this once): "));
    password.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&made.stderr))).to_owned()
}

fn settings(folder: &Path, secrets: &Path, postgres: &LocalPostgres, nginx: &Nginx) -> Vec<(String, String)> {
    let credentials = std::fs::read_to_string(folder.join("postgres/credentials.json")).unwrap();
    let credentials: Value = serde_json::from_str(&credentials).unwrap();
    let (password, socket) = (credentials["runtime"].as_str().unwrap(), postgres.socket_folder().display());
    let path = |name: &str| secrets.join(name).to_str().unwrap().to_owned();
    let own = [
        ("DATABASE_URL", format!("postgres://portcullis_runtime:{password}@localhost/portcullis?host={socket}&port=5432")),
        ("REDIS_URL_FILE", path("service/redis-url")),
        ("PORTCULLIS_KEY_ENCRYPTION_KEY_FILE", path("service/key-encryption-key")),
        ("PORTCULLIS_TLS_CERTIFICATE_FILE", path("service/certificate.pem")),
        ("PORTCULLIS_TLS_KEY_FILE", path("service/key.pem")),
        ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1/32".into()),
        ("PORTCULLIS_PUBLIC_URL", format!("https://localhost:{}", nginx.https.port())),
        ("PORTCULLIS_DATA_DIR", folder.join("data").to_str().unwrap().to_owned()),
        ("PORTCULLIS_HTTP_LISTEN", "off".into()),
        ("PORTCULLIS_OPERATOR_LISTEN", "off".into()),
        ("PORTCULLIS_LOG_FORMAT", "json".into()),
    ];
    let roomy = ROOMY.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    own.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(roomy).collect()
}
