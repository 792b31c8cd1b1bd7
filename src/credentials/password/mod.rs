//! Passwords: what may be one ([`policy`]), how it is hashed ([`hash`]), and where that work is done ([`pool`]).
//!
//! Practices 2.argon2id, 2.unique-salt, 2.password-policy, 4.dos.
//! Attacks: `tests/suite/attacks/s02_credentials/`.

pub mod hash;
pub mod policy;
pub mod pool;

pub use hash::{Cost, StoredHash};
pub use policy::Weakness;
pub use pool::{Busy, HashPool};

use crate::platform::keyring::Keyring;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// A password as it was sent, in normalization form C (NIST SP 800-63B-4 §3.1.1.2), so that the same keys pressed on two
/// systems give the same password. Nothing else is changed: no trimming, no truncation, no case folding. Not printable.
#[derive(Clone)]
pub struct Password(SecretString);

impl Password {
    /// Takes what was sent.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.nfc().collect::<String>().into())
    }

    fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(&Zeroizing::new(String::deserialize(deserializer)?)))
    }
}

/// What came out of a verification.
#[derive(Debug)]
pub enum Verdict {
    /// Not this password, or no such account.
    Wrong,
    /// The right password.
    Right {
        /// A fresh hash to store when parameters or pepper have moved on since the old one was made.
        upgraded: Option<StoredHash>,
    },
}

/// Why a new password was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NewPasswordError {
    /// Against the policy; the reason can be shown.
    #[error("the password is too weak: {0}")]
    Weak(Weakness),
    /// The hashing queue is full.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The library refused.
    #[error("hashing failed: {0}")]
    Hash(#[from] hash::HashError),
}

/// Hashes and verifies, on the pool.
#[derive(Clone)]
pub struct Passwords {
    pool: HashPool,
    keyring: Keyring,
    cost: Cost,
}

impl Passwords {
    /// Passwords hashed at `cost` on `pool`, with the pepper from `keyring`.
    #[must_use]
    pub fn new(pool: HashPool, keyring: Keyring, cost: Cost) -> Self {
        Self { pool, keyring, cost }
    }

    /// How often argon2 was run so far. Tests count work instead of measuring time.
    #[must_use]
    pub fn computed(&self) -> u64 {
        self.pool.computed()
    }

    /// Always exactly one argon2 verification, also for an account that does not exist (against a hash that nothing matches),
    /// so that neither time nor load tells whether it does (ASVS 5.0 6.3.8).
    ///
    /// # Errors
    /// [`NewPasswordError::Busy`] or [`NewPasswordError::Hash`].
    pub async fn verify(&self, password: &Password, stored: Option<StoredHash>) -> Result<Verdict, NewPasswordError> {
        let (password, this) = (password.clone(), self.clone());
        self.pool
            .run(move |arena| {
                let secret = password.expose().as_bytes();
                // where its pepper was revoked a hash is none
                let Some(stored) = stored.filter(|stored| hash::has_pepper(stored, &this.keyring)) else {
                    hash::verify_nothing(arena, &this.keyring, this.cost, secret)?;
                    return Ok(Verdict::Wrong);
                };
                if !hash::verify(arena, &this.keyring, &stored, secret)? {
                    return Ok(Verdict::Wrong);
                }
                let upgraded = if hash::is_current(&stored, &this.keyring, this.cost) {
                    None
                } else {
                    Some(hash::create(arena, &this.keyring, this.cost, secret)?)
                };
                Ok(Verdict::Right { upgraded })
            })
            .await?
    }

    /// Checks a new password against the policy and hashes it. `context` are the words that belong to the person.
    ///
    /// # Errors
    /// [`NewPasswordError`].
    pub async fn create(&self, password: &Password, context: Vec<String>) -> Result<StoredHash, NewPasswordError> {
        // the cheap rules first, so that a short password takes no place in the queue
        policy::check_length(password.expose()).map_err(NewPasswordError::Weak)?;
        let (password, this) = (password.clone(), self.clone());
        self.pool
            .run(move |arena| {
                let password = Zeroizing::new(password.expose().to_owned());
                policy::check_strength(&password, &context).map_err(NewPasswordError::Weak)?;
                Ok(hash::create(arena, &this.keyring, this.cost, password.as_bytes())?)
            })
            .await?
    }
}
