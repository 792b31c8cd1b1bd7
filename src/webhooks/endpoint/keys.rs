//! The keys of an endpoint: a secret that it shares, and a key pair of which it has the public half. Both are kept sealed in their row.
//! Practices 11.signature, 2.no-plaintext.

use crate::{
    platform::{
        crypto::Unsealable,
        keyring::{Keyring, Purpose},
    },
    webhooks::signature::{Message, Secret, SigningKey},
};
use secrecy::ExposeSecret;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Keys that are kept cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the keys of an endpoint cannot be used")]
pub struct Unusable;

impl From<Unsealable> for Unusable {
    fn from(_: Unsealable) -> Self {
        Self
    }
}

/// What signs for one endpoint.
pub struct Keys {
    /// Known to both sides.
    pub secret: Secret,
    /// Known to us only.
    pub signing: SigningKey,
}

impl Keys {
    /// Fresh ones.
    #[must_use]
    pub fn generate() -> Self {
        Self { secret: Secret::generate(), signing: SigningKey::generate() }
    }

    /// For the row of this id, with the version of the key that sealed it.
    ///
    /// # Errors
    /// [`Unsealable`] when the library refuses.
    pub fn seal(&self, keyring: &Keyring, id: Uuid) -> Result<(i32, Vec<u8>), Unsealable> {
        let text = Zeroizing::new(format!("{} {}", self.secret.text().expose_secret(), self.signing.text().expose_secret()));
        keyring.seal(Purpose::WebhookSecret, id.as_bytes(), text.as_bytes())
    }

    /// Reads [`Keys::seal`].
    ///
    /// # Errors
    /// [`Unusable`] when key, row or bytes are others.
    pub fn open(keyring: &Keyring, id: Uuid, version: i32, sealed: &[u8]) -> Result<Self, Unusable> {
        let plain = Zeroizing::new(keyring.open_sealed(Purpose::WebhookSecret, version, id.as_bytes(), sealed)?);
        let (secret, signing) = std::str::from_utf8(&plain).ok().and_then(|text| text.split_once(' ')).ok_or(Unusable)?;
        Ok(Self { secret: secret.parse().map_err(|_| Unusable)?, signing: signing.parse().map_err(|_| Unusable)? })
    }

    /// Both signatures of a message, as they stand in its header.
    ///
    /// # Errors
    /// [`Unusable`] when the library refuses.
    pub fn sign(&self, message: Message<'_>) -> Result<String, Unusable> {
        Ok(format!("{} {}", message.sign(&self.secret), message.sign_by_key(&self.signing)?))
    }
}
