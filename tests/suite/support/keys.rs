//! What `portcullis keys` does to a purpose's keys: in the database, of which a node's own keyring learns later.

use super::TestDatabase;
use portcullis::platform::keyring::{Keyring, Purpose, signing::Algorithm, store};

impl TestDatabase {
    pub async fn rotate(&self, purpose: Purpose) {
        self.rotate_by(&self.keyring, purpose).await;
    }

    /// By another node.
    pub async fn rotate_by(&self, keyring: &Keyring, purpose: Purpose) {
        let mut transaction = self.pool.begin().await.unwrap();
        store::rotate(&mut transaction, keyring, purpose, Algorithm::EdDsa, true, self.clock.now()).await.unwrap();
        transaction.commit().await.unwrap();
    }

    /// Without what the command clears afterwards: what is revoked is worth nothing before that.
    pub async fn revoke(&self, purpose: Purpose) {
        self.revoke_by(&self.keyring, purpose).await;
    }

    /// By another node.
    pub async fn revoke_by(&self, keyring: &Keyring, purpose: Purpose) {
        let mut transaction = self.pool.begin().await.unwrap();
        store::revoke(&mut transaction, keyring, purpose, Algorithm::EdDsa, self.clock.now()).await.unwrap();
        transaction.commit().await.unwrap();
    }
}
