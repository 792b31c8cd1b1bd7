//! The attacker starts the service on a stolen database with a key-encryption key of their own.

use crate::support::TestDatabase;
use portcullis::platform::{
    crypto,
    keyring::{KeyBytes, Keyring, KeyringError, signing::Algorithm},
};

use sqlx::{Connection, Executor, PgConnection};

#[tokio::test]
async fn a_foreign_key_encryption_key_opens_nothing() {
    let t = TestDatabase::create().await;
    Keyring::open(&t.pool, &t.key_encryption_key, Algorithm::EdDsa, t.clock.now()).await.unwrap();
    // an upgrade brought a new purpose, and the wrong key is the first to see it
    let mut owner = PgConnection::connect_with(&t.owner).await.unwrap();
    owner.execute("DELETE FROM keyring WHERE purpose = 'refresh_token'").await.unwrap();
    let foreign = Keyring::open(&t.pool, &KeyBytes::new(crypto::random()), Algorithm::EdDsa, t.clock.now()).await;
    assert!(matches!(foreign, Err(KeyringError::WrongKeyEncryptionKey { .. })));
    let written: i64 = sqlx::query_scalar("SELECT count(*) FROM keyring WHERE purpose = 'refresh_token'").fetch_one(&t.pool).await.unwrap();
    assert_eq!(written, 0, "nothing that the right key could not open");
    Keyring::open(&t.pool, &t.key_encryption_key, Algorithm::EdDsa, t.clock.now()).await.unwrap();
}
