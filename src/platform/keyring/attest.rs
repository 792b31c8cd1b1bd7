//! Signed statements (Ed25519, RFC 8032) under a key of the keyring: whoever has the database only can read one and cannot make one,
//! and others can verify it with the public key. The 256 secret bits of a key are the signature's seed.
//! Attacks: `tests/suite/attacks/s08_errors/altered_audit_log.rs`.

use crate::platform::{
    crypto::{self, Unsealable},
    keyring::{Keyring, Purpose},
};

impl Keyring {
    /// Signs with the active key. Returns the key's version beside the signature.
    ///
    /// # Errors
    /// [`Unsealable`] when the library refuses, which it does for no key of this length, or as [`Keyring::making`].
    pub fn attest(&self, purpose: Purpose, statement: &[u8]) -> Result<(i32, [u8; 64]), Unsealable> {
        let (version, key) = self.making(purpose)?;
        Ok((version, crypto::sign(key.expose(), statement)?))
    }

    /// Whether the key of this version signed this; never once it is revoked.
    #[must_use]
    pub fn is_attested(&self, purpose: Purpose, version: i32, statement: &[u8], signature: &[u8]) -> bool {
        self.attesting_key(purpose, version).is_some_and(|public| crypto::is_signed(&public, statement, signature))
    }

    /// The public key of this version, for whoever verifies elsewhere.
    #[must_use]
    pub fn attesting_key(&self, purpose: Purpose, version: i32) -> Option<[u8; 32]> {
        crypto::public_key(self.version(purpose, version)?.expose()).ok()
    }
}
