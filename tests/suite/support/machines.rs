//! Machines: API keys, and service accounts that own some.

use super::{
    app::TestApp,
    people::{Actor, Answer},
};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

/// A key, and the machine that holds it.
pub struct Machine<'a> {
    pub id: String,
    pub key: String,
    pub actor: Actor<'a>,
}

/// A service account with a key.
pub struct Service<'a> {
    pub id: String,
    pub machine: Machine<'a>,
}

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// With the checksum that belongs to it, whatever it had: as somebody makes up keys who has read how they are made.
pub fn stamped(key: &str) -> String {
    let body = &key[..key.len() - 6];
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = Vec::new();
    for _ in 0..6 {
        digits.insert(0, char::from(BASE62[(rest % 62) as usize]));
        rest /= 62;
    }
    format!("{body}{}", digits.into_iter().collect::<String>())
}

impl TestApp {
    /// Whoever holds this key.
    pub fn holder(&self, key: &str) -> Actor<'_> {
        let mut actor = self.visitor();
        actor.bearer = Some(key.to_owned());
        actor
    }

    /// What came of making a key.
    pub fn machine(&self, made: &Answer) -> Machine<'_> {
        assert_eq!(made.status, 201, "{}", made.text);
        let (key, id) = (made.json()["key"].as_str().unwrap().to_owned(), made.json()["api_key"]["id"].as_str().unwrap().to_owned());
        Machine { actor: self.holder(&key), id, key }
    }

    /// A service account with these roles, and a key of it with these scopes.
    pub async fn service_account(&self, by: &Actor<'_>, roles: &[&str], scopes: &[&str]) -> Service<'_> {
        let made = by.post("/v1/service-accounts", json!({ "name": "Deployer", "roles": roles })).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let id = made.json()["id"].as_str().unwrap().to_owned();
        let key = by.post(&format!("/v1/service-accounts/{id}/keys"), wanted(scopes)).await;
        Service { id, machine: self.machine(&key) }
    }

    /// Runs a statement as the service's own database role.
    pub async fn runs(&self, sql: &str) -> Result<u64, sqlx::Error> {
        sqlx::query(AssertSqlSafe(sql)).execute(&self.database.pool).await.map(|done| done.rows_affected())
    }
}

/// The body that makes a key.
pub fn wanted(scopes: &[&str]) -> Value {
    json!({ "name": "laptop", "scopes": scopes })
}

impl<'a> Actor<'a> {
    /// A key of one's own.
    pub async fn api_key(&self, scopes: &[&str]) -> Machine<'a> {
        self.app.machine(&self.post("/v1/me/api-keys", wanted(scopes)).await)
    }
}
