//! The attacker starts the service on a stolen database with a key-encryption key of their own.

use crate::support::TestDatabase;
use portcullis::platform::{
    crypto,
    keyring::{KeyBytes, Keyring, KeyringError, signing::Algorithm},
};

#[tokio::test]
async fn a_foreign_key_encryption_key_opens_nothing() {
    let t = TestDatabase::create().await;
    Keyring::open(&t.pool, &t.key_encryption_key, Algorithm::EdDsa, t.clock.now()).await.unwrap();
    let foreign = Keyring::open(&t.pool, &KeyBytes::new(crypto::random()), Algorithm::EdDsa, t.clock.now()).await;
    assert!(matches!(foreign, Err(KeyringError::WrongKeyEncryptionKey { .. })));
}
