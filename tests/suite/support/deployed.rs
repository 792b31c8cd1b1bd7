//! A database with a login of the service's own, as `migrate` makes it, for binaries that run on it.

use super::TestDatabase;
use base64::{Engine, engine::general_purpose::STANDARD};
use portcullis::platform::db;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};

pub const PASSWORD: &str = "Vb7kQ2mZx9TfLw4RnJ8c";

pub struct Deployed {
    pub t: TestDatabase,
    pub login: String,
    superuser: PgConnection,
}

impl Deployed {
    pub async fn create() -> Self {
        Self::of(TestDatabase::create().await).await
    }

    pub async fn of(t: TestDatabase) -> Self {
        let name = t.feed.get_database().unwrap();
        let (superuser, login) = (t.superuser.clone().database(name), format!("service_{name}"));
        db::ensure_login(&superuser, &login, &PASSWORD.to_owned().into()).await.unwrap();
        Self { superuser: PgConnection::connect_with(&superuser).await.unwrap(), t, login }
    }

    pub fn url(&self, password: &str) -> String {
        let options = self.t.feed.clone().username(&self.login).password(password);
        options.to_url_lossy().as_str().split("&options").next().unwrap().to_owned()
    }

    pub fn key(&self) -> String {
        STANDARD.encode(self.t.key_encryption_key.expose())
    }

    /// As a superuser.
    pub async fn sql(&mut self, statement: &str) {
        self.superuser.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
    }

    pub async fn password_is(&mut self, password: &str) {
        self.sql(&format!("ALTER ROLE {} PASSWORD '{password}'", self.login)).await;
    }

    /// Cuts every connection of the service.
    pub async fn cut(&mut self) {
        self.sql(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{}'", self.login)).await;
    }

    pub async fn end(mut self) {
        self.cut().await;
        self.sql(&format!("DROP OWNED BY {0}; DROP ROLE {0}", self.login)).await;
    }
}
