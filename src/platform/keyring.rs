//! Every key the service owns, by purpose and version, in Postgres so that all nodes share them, each sealed under the
//! key-encryption key, which never enters the database.
//!
//! Practices 2.encrypted-sessions, 9.rotate, 9.never-hardcode.
//! Attacks: `tests/suite/attacks/s09_secrets/`.

use crate::platform::crypto;
use sqlx::PgPool;
use std::{collections::HashMap, fmt, sync::Arc};
use time::OffsetDateTime;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What a key is for. The closed list; a key never serves two purposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Mixed into every password hash (argon2's secret input).
    Pepper,
    /// Signs and encrypts the session cookie.
    SessionCookie,
    /// Seals session state at rest.
    SessionState,
    /// Seals waiting letters.
    Outbox,
    /// Keyed digests of short codes and of the subjects of quotas, and the tags of list cursors.
    Lookup,
    /// Tags of known-device cookies.
    KnownDevice,
    /// Seals the keys of people.
    Subject,
    /// Seals the personal part of events that are about nobody.
    NobodysEvent,
}

impl Purpose {
    /// All purposes.
    pub const ALL: [Self; 8] =
        [Self::Pepper, Self::SessionCookie, Self::SessionState, Self::Outbox, Self::Lookup, Self::KnownDevice, Self::Subject, Self::NobodysEvent];

    /// The name in the table `keyring`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pepper => "pepper",
            Self::SessionCookie => "session_cookie",
            Self::SessionState => "session_state",
            Self::Outbox => "outbox",
            Self::Lookup => "lookup",
            Self::KnownDevice => "known_device",
            Self::Subject => "subject",
            Self::NobodysEvent => "nobodys_event",
        }
    }
}

/// 256 secret bits. Not printable, wiped on drop.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct KeyBytes([u8; 32]);

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyBytes([redacted])")
    }
}

impl KeyBytes {
    /// Wraps key material.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key material.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Why the keyring could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The key-encryption key is not the one that sealed these rows.
    #[error("the key-encryption key does not open key {purpose} v{version}: it belongs to another database")]
    WrongKeyEncryptionKey {
        /// The key's purpose.
        purpose: &'static str,
        /// The key's version.
        version: i32,
    },
    /// The database refused or is away.
    #[error("the keyring cannot be read: {0}")]
    Database(#[from] sqlx::Error),
    /// The cryptographic library refused.
    #[error(transparent)]
    Seal(#[from] crypto::Unsealable),
}

/// The keys in memory.
#[derive(Debug, Clone)]
pub struct Keyring(Arc<HashMap<(Purpose, i32), KeyBytes>>, Arc<HashMap<Purpose, i32>>);

impl Keyring {
    /// Reads the keyring; a purpose that has no key yet gets its first. Nodes that start together agree, because the insert of
    /// the slower one does nothing and both read what is there.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub async fn open(pool: &PgPool, key_encryption_key: &KeyBytes, now: OffsetDateTime) -> Result<Self, KeyringError> {
        for purpose in Purpose::ALL {
            let sealed = crypto::seal(key_encryption_key.expose(), &context(purpose.name(), 1), &crypto::random::<32>())?;
            sqlx::query!(
                "INSERT INTO keyring (purpose, version, state, sealed, created_at)
                 SELECT $1, 1, 'active', $2, $3 WHERE NOT EXISTS (SELECT FROM keyring WHERE purpose = $1)
                 ON CONFLICT DO NOTHING",
                purpose.name(),
                sealed,
                now
            )
            .execute(pool)
            .await?;
        }
        let mut keys = HashMap::new();
        let mut active = HashMap::new();
        for row in sqlx::query!("SELECT purpose, version, state, sealed FROM keyring WHERE state <> 'revoked'").fetch_all(pool).await? {
            // a purpose of a newer binary, seen while it rolls out
            let Some(purpose) = Purpose::ALL.into_iter().find(|purpose| purpose.name() == row.purpose) else { continue };
            let key = crypto::open(key_encryption_key.expose(), &context(&row.purpose, row.version), &row.sealed)
                .ok()
                .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
                .ok_or(KeyringError::WrongKeyEncryptionKey { purpose: purpose.name(), version: row.version })?;
            if row.state == "active" {
                active.insert(purpose, row.version);
            }
            keys.insert((purpose, row.version), KeyBytes(key));
        }
        if let Some(missing) = Purpose::ALL.into_iter().find(|purpose| !active.contains_key(purpose)) {
            tracing::error!(purpose = missing.name(), "no active key");
            return Err(KeyringError::Database(sqlx::Error::RowNotFound));
        }
        Ok(Self(Arc::new(keys), Arc::new(active)))
    }

    /// The version and key that new values of this purpose are made with.
    #[must_use]
    pub fn active(&self, purpose: Purpose) -> (i32, &[u8; 32]) {
        let version = self.1[&purpose];
        (version, self.0[&(purpose, version)].expose())
    }

    /// The key that made an older value; `None` once it is revoked.
    #[must_use]
    pub fn version(&self, purpose: Purpose, version: i32) -> Option<&[u8; 32]> {
        self.0.get(&(purpose, version)).map(KeyBytes::expose)
    }

    /// Seals with the active key. Returns the key's version beside the sealed bytes.
    ///
    /// # Errors
    /// [`crypto::Unsealable`] when the library refuses.
    pub fn seal(&self, purpose: Purpose, context: &[u8], plaintext: &[u8]) -> Result<(i32, Vec<u8>), crypto::Unsealable> {
        let (version, key) = self.active(purpose);
        Ok((version, crypto::seal(key, context, plaintext)?))
    }

    /// Opens what [`Keyring::seal`] made.
    ///
    /// # Errors
    /// [`crypto::Unsealable`] when the key is revoked or the bytes or the context differ.
    pub fn open_sealed(&self, purpose: Purpose, version: i32, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, crypto::Unsealable> {
        crypto::open(self.version(purpose, version).ok_or(crypto::Unsealable)?, context, sealed)
    }
}

fn context(purpose: &str, version: i32) -> Vec<u8> {
    format!("keyring/{purpose}/{version}").into_bytes()
}
