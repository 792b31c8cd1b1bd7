//! One private cluster for the run; a database, a pool as the run-time role and a clock for each test.

pub mod app;
pub mod canaries;
pub mod chain;
pub mod counts;
pub mod deployed;
pub mod device;
pub mod documents;
pub mod heard;
pub mod ingest;
pub mod keys;
pub mod log;
pub mod machines;
pub mod operations;
pub mod people;
pub mod provider;
pub mod receiver;
pub mod relay;
pub mod smtp;
pub mod sources;
pub mod vault;
pub mod webhooks;
pub mod wire;
pub mod world;

use portcullis::platform::{
    clock::Clock,
    crypto, db,
    keyring::{KeyBytes, Keyring, signing::Algorithm},
    local_postgres::LocalPostgres,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, postgres::PgConnectOptions};
use tokio::sync::OnceCell;

static CLUSTER: OnceCell<LocalPostgres> = OnceCell::const_new();

async fn cluster() -> &'static LocalPostgres {
    CLUSTER
        .get_or_init(|| async {
            let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("postgres");
            let settings = ["fsync=off", "full_page_writes=off", "max_connections=300"];
            let cluster = LocalPostgres::start(&folder, &settings).await.expect("a private Postgres");
            let mut superuser = PgConnection::connect_with(&cluster.superuser()).await.unwrap();
            // left over from an earlier run
            let old: Vec<String> =
                sqlx::query_scalar("SELECT datname FROM pg_database WHERE datname LIKE 't\\_%'").fetch_all(&mut superuser).await.unwrap();
            for name in old.iter().map(String::as_str).chain(["template_suite"]) {
                sqlx::query(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name}"))).execute(&mut superuser).await.unwrap();
            }
            sqlx::query("CREATE DATABASE template_suite OWNER portcullis_owner").execute(&mut superuser).await.unwrap();
            db::migrate(&cluster.owner().database("template_suite")).await.expect("migrations apply");
            cluster
        })
        .await
}

#[derive(Clone)]
pub struct TestDatabase {
    pub pool: PgPool,
    /// How the revocation feed connects.
    pub feed: PgConnectOptions,
    pub owner: PgConnectOptions,
    pub superuser: PgConnectOptions,
    pub clock: Clock,
    pub key_encryption_key: KeyBytes,
    pub keyring: Keyring,
}

impl TestDatabase {
    pub async fn create() -> Self {
        Self::signing_with(Algorithm::EdDsa).await
    }

    /// The same database as another node sees it: with connections and keys in memory of its own.
    pub async fn seen_by_another_node(&self) -> Self {
        let pool = db::pool(self.feed.clone(), 10);
        let keyring = Keyring::open(&pool, &self.key_encryption_key, Algorithm::EdDsa, self.clock.now()).await.unwrap();
        Self { pool, keyring, ..self.clone() }
    }

    pub async fn signing_with(algorithm: Algorithm) -> Self {
        let cluster = cluster().await;
        let clock = Clock::system();
        let name = format!("t_{}", crypto::uuid_v7(clock.now()).simple());
        let mut superuser = PgConnection::connect_with(&cluster.superuser()).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template_suite OWNER portcullis_owner")))
            .execute(&mut superuser)
            .await
            .unwrap();
        let pool = db::pool(cluster.runtime().database(&name), 10);
        let key_encryption_key = KeyBytes::new(crypto::random());
        let keyring = Keyring::open(&pool, &key_encryption_key, algorithm, clock.now()).await.unwrap();
        let feed = db::as_runtime(cluster.runtime().database(&name));
        Self { pool, feed, owner: cluster.owner().database(&name), superuser: cluster.superuser(), clock, key_encryption_key, keyring }
    }
}
