//! Every key the service owns, by purpose and version, in Postgres so that all nodes share them, each sealed under the
//! key-encryption key, which never enters the database.
//!
//! A key is `next` (known to all, not used yet), `active`, `retired` (makes nothing new; what it made is accepted until that has
//! run out) or `revoked` (worth nothing). A new key is published as `next` before anything is made with it, so that no node and no
//! outside verifier meets a key that it does not know; only what replaces a revoked key comes unannounced.
//! Practices 2.encrypted-sessions, 2.jwt-signing, 9.rotate, 9.never-hardcode.
//! Attacks: `tests/suite/attacks/s09_secrets/`, `tests/suite/attacks/s02_credentials/old_keys.rs`.

mod attest;
mod purpose;
pub mod rows;
pub mod signing;
pub mod store;
pub mod wrapping;

pub use purpose::{LONGEST_COOKIE_LIFE, LONGEST_DEVICE_LIFE, LONGEST_TOKEN_LIFE, Purpose, Revocation, Rotation};
pub use wrapping::KeyEncryption;

use crate::platform::crypto;
use signing::{Algorithm, SigningError, SigningKey};
use sqlx::PgPool;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// How long others may keep the list of public keys. A key that is to sign must have been on the list for as long.
pub const PUBLISHED_AHEAD: Duration = Duration::minutes(5);

/// Until then after a change every node knows of it, what was being made under the old key has been written, and what was read of it was
/// opened.
const SETTLED: Duration = Duration::minutes(5);

/// A key that this node does not know is looked for in the database at most this often, however many strangers invent some.
const LOOKED_FOR: std::time::Duration = std::time::Duration::from_millis(250);

/// A read of the table that takes longer is given up.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

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

/// Why the keyring could not be opened or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The key-encryption key is not the one that sealed these rows.
    #[error(
        "the key-encryption key does not open key {purpose} v{version}: it belongs to another database, or is of before or after `portcullis keys reencrypt` (PORTCULLIS_PREVIOUS_KEY_ENCRYPTION_KEY)"
    )]
    WrongKeyEncryptionKey {
        /// The key's purpose.
        purpose: &'static str,
        /// The key's version.
        version: i32,
    },
    /// Others seal the keyring under a key-encryption key that this node does not have: what it seals would open nowhere after the move.
    #[error("key {purpose} v{version} does not open: this node is without the others' key-encryption key, and changes no keys")]
    LeftBehind {
        /// The key's purpose, by the table: a newer binary may have more.
        purpose: String,
        /// The key's version.
        version: i32,
    },
    /// Nothing can be made for this purpose.
    #[error("there is no active key for {0}")]
    NoActiveKey(&'static str),
    /// The key that would take over was published a moment ago; everybody knows it at this time.
    #[error("the next key was published a moment ago: others may not know it before {} (--now does it all the same)", shown(*.0))]
    PublishedTooLately(OffsetDateTime),
    /// The database refused or is away.
    #[error("the keyring cannot be read: {0}")]
    Database(#[from] sqlx::Error),
    /// The cryptographic library refused.
    #[error(transparent)]
    Seal(#[from] crypto::Unsealable),
    /// A signing key could not be made or read.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

/// RFC 3339, to the second.
#[must_use]
pub fn shown(time: OffsetDateTime) -> String {
    time.replace_nanosecond(0).ok().and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

/// The state of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Known, not used yet.
    Next,
    /// Makes what is new.
    Active,
    /// What it made is accepted until then; `None`: for as long as there is any of it.
    Retired(Option<OffsetDateTime>),
    /// Worth nothing. In memory only where this node cannot open the key that took over; nothing is made with it.
    Revoked,
}

impl KeyState {
    fn is_accepted(self, now: OffsetDateTime) -> bool {
        match self {
            Self::Next | Self::Active | Self::Retired(None) => true,
            Self::Retired(Some(until)) => now < until,
            Self::Revoked => false,
        }
    }
}

#[derive(Clone)]
enum Material {
    Secret(KeyBytes),
    Signing(Arc<SigningKey>),
}

#[derive(Clone)]
struct Entry {
    state: KeyState,
    material: Material,
}

/// What the table held when it was read.
#[derive(Default)]
struct Keys {
    all: HashMap<(Purpose, i32), Entry>,
    /// The versions that new values are made with.
    making: HashMap<Purpose, i32>,
}

/// The keys in memory, of one process. They follow the table: [`Keyring::reload`].
#[derive(Clone)]
pub struct Keyring(Arc<Shared>);

struct Shared {
    key_encryption: KeyEncryption,
    keys: RwLock<Arc<Keys>>,
    last_look: tokio::sync::Mutex<Option<Instant>>,
}

impl Keyring {
    /// Reads the keyring; a purpose that has no key yet gets its first. Nodes that start together agree, because the insert of
    /// the slower one does nothing and both read what is there.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub async fn open(
        pool: &PgPool,
        key_encryption: impl Into<KeyEncryption>,
        algorithm: Algorithm,
        now: OffsetDateTime,
    ) -> Result<Self, KeyringError> {
        // first whether this key-encryption key opens what is there: with a wrong one nothing must be written
        let keyring = Self::peek(pool, key_encryption).await?;
        store::make_missing(&mut *pool.acquire().await?, keyring.key_encryption(), algorithm, now).await?;
        keyring.reload(pool).await?;
        for purpose in Purpose::ALL {
            if keyring.keys().making(*purpose).is_none() {
                return Err(KeyringError::NoActiveKey(purpose.name()));
            }
        }
        Ok(keyring)
    }

    /// Reads the keyring and makes nothing: it may lack purposes, or be empty.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub async fn peek(pool: &PgPool, key_encryption: impl Into<KeyEncryption>) -> Result<Self, KeyringError> {
        let key_encryption = key_encryption.into();
        let keys = store::read(pool, &key_encryption, None).await?;
        let shared = Shared { key_encryption, keys: RwLock::new(Arc::new(keys)), last_look: tokio::sync::Mutex::default() };
        Ok(Self(Arc::new(shared)))
    }

    /// Reads the table again. Where another node seals under a key-encryption key that this one does not have yet, it goes on with what it
    /// knows, as far as that still counts.
    ///
    /// # Errors
    /// [`KeyringError`]; the keys in memory stay as they were.
    pub async fn reload(&self, pool: &PgPool) -> Result<(), KeyringError> {
        self.read(pool, &mut *self.0.last_look.lock().await).await
    }

    /// One after the other: what was read before a change must not be stored after what was read behind it.
    async fn read(&self, pool: &PgPool, last: &mut Option<Instant>) -> Result<(), KeyringError> {
        let before = self.keys();
        let read = tokio::time::timeout(PATIENCE, store::read(pool, &self.0.key_encryption, Some(&before))).await;
        // from its end, also when it fails: a slow database must not make those who wait read in a row
        *last = Some(Instant::now());
        let keys = read.unwrap_or(Err(sqlx::Error::PoolTimedOut.into()))?;
        *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    /// The same, unless it was just done: for what strangers can cause.
    ///
    /// # Errors
    /// [`KeyringError`], of the call that looked; those that waited for it go on with the keys in memory.
    pub async fn reload_unless_recent(&self, pool: &PgPool) -> Result<(), KeyringError> {
        let mut last = self.0.last_look.lock().await;
        if last.is_some_and(|last| last.elapsed() < LOOKED_FOR) {
            return Ok(());
        }
        self.read(pool, &mut last).await
    }

    /// What opens and seals the keyring.
    #[must_use]
    pub fn key_encryption(&self) -> &KeyEncryption {
        &self.0.key_encryption
    }

    fn keys(&self) -> Arc<Keys> {
        self.0.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The version and key that new values of this purpose are made with, for what is compared and kept nowhere. What is stored or handed out
    /// is made with [`Keyring::making`].
    ///
    /// # Panics
    /// For [`Purpose::TokenSigning`], whose keys are no secrets to be mixed into something.
    #[must_use]
    pub fn active(&self, purpose: Purpose) -> (i32, KeyBytes) {
        let keys = self.keys();
        match keys.making(purpose) {
            Some((version, Entry { material: Material::Secret(key), .. })) => (version, key.clone()),
            // `open` looked that there is one, and no reading takes it away without another
            _ => unreachable!("no active secret key for {}", purpose.name()),
        }
    }

    /// The version and key for a new value that is to last. A node that cannot open the key that took over makes none: under a key that is
    /// destroyed or about to be, it would be lost.
    ///
    /// # Errors
    /// [`crypto::Unsealable`] when the key that this node knows is not the active one any more.
    pub fn making(&self, purpose: Purpose) -> Result<(i32, KeyBytes), crypto::Unsealable> {
        match self.keys().making(purpose) {
            Some((version, Entry { state: KeyState::Active, material: Material::Secret(key) })) => Ok((version, key.clone())),
            _ => {
                tracing::error!(purpose = purpose.name(), "nothing is made for this purpose: this node cannot open the key that took over");
                Err(crypto::Unsealable)
            }
        }
    }

    /// The same for a row that is being written.
    ///
    /// # Errors
    /// [`sqlx::Error::Encode`], as [`Keyring::making`].
    pub fn making_row(&self, purpose: Purpose) -> Result<(i32, KeyBytes), sqlx::Error> {
        self.making(purpose).map_err(|error| sqlx::Error::Encode(error.into()))
    }

    /// The key that made an older value; `None` once it is revoked, or has ended because nothing hung on it.
    #[must_use]
    pub fn version(&self, purpose: Purpose, version: i32) -> Option<KeyBytes> {
        match self.keys().all.get(&(purpose, version)) {
            Some(Entry { state: KeyState::Revoked, .. }) => None,
            Some(Entry { material: Material::Secret(key), .. }) => Some(key.clone()),
            _ => None,
        }
    }

    /// The same, for what runs out by itself: `None` also when the overlap of its key is over.
    #[must_use]
    pub fn accepted(&self, purpose: Purpose, version: i32, now: OffsetDateTime) -> Option<KeyBytes> {
        let is_accepted = self.keys().all.get(&(purpose, version)).is_some_and(|entry| entry.state.is_accepted(now));
        self.version(purpose, version).filter(|_| is_accepted)
    }

    /// All keys whose work is accepted, for what does not say which one made it: the one that makes new values, then the newest first. One
    /// look at the keyring: it may change in between two.
    #[must_use]
    pub fn all_accepted(&self, purpose: Purpose, now: OffsetDateTime) -> Vec<(i32, KeyBytes)> {
        let keys = self.keys();
        let making = keys.making.get(&purpose).copied();
        let own = keys.all.iter().filter(|((of, _), entry)| *of == purpose && entry.state.is_accepted(now));
        let mut own: Vec<(i32, KeyBytes)> = own
            .filter_map(|((_, version), entry)| match &entry.material {
                Material::Secret(key) => Some((*version, key.clone())),
                Material::Signing(_) => None,
            })
            .collect();
        own.sort_by_key(|(version, _)| (Some(*version) != making, std::cmp::Reverse(*version)));
        own
    }

    /// The versions under which older values may be left.
    #[must_use]
    pub fn retired(&self, purpose: Purpose) -> Vec<i32> {
        let keys = self.keys();
        let own = keys.all.iter().filter(|((of, _), entry)| *of == purpose && matches!(entry.state, KeyState::Retired(_)));
        own.map(|((_, version), _)| *version).collect()
    }

    /// The key that signs.
    ///
    /// # Errors
    /// [`KeyringError::NoActiveKey`], also when this node cannot open the one that took over.
    pub fn signing_key(&self) -> Result<Arc<SigningKey>, KeyringError> {
        match self.keys().making(Purpose::TokenSigning) {
            Some((_, Entry { state: KeyState::Active, material: Material::Signing(key) })) => Ok(Arc::clone(key)),
            _ => Err(KeyringError::NoActiveKey(Purpose::TokenSigning.name())),
        }
    }

    /// The key of this name, if what it signs is accepted now. The next one's is too: another node may have activated it.
    #[must_use]
    pub fn verifying_key(&self, id: &str, now: OffsetDateTime) -> Option<Arc<SigningKey>> {
        self.keys().signing(now).find(|key| key.id() == id)
    }

    /// All keys whose signatures are accepted now, for whoever verifies elsewhere.
    #[must_use]
    pub fn published_keys(&self, now: OffsetDateTime) -> Vec<Arc<SigningKey>> {
        let mut keys: Vec<_> = self.keys().signing(now).collect();
        keys.sort_by(|a, b| a.id().cmp(b.id()));
        keys
    }

    /// Seals with the active key. Returns the key's version beside the sealed bytes.
    ///
    /// # Errors
    /// [`crypto::Unsealable`] when the library refuses, or as [`Keyring::making`].
    pub fn seal(&self, purpose: Purpose, context: &[u8], plaintext: &[u8]) -> Result<(i32, Vec<u8>), crypto::Unsealable> {
        let (version, key) = self.making(purpose)?;
        Ok((version, crypto::seal(key.expose(), context, plaintext)?))
    }

    /// Opens what [`Keyring::seal`] made.
    ///
    /// # Errors
    /// [`crypto::Unsealable`] when the key is revoked or the bytes or the context differ.
    pub fn open_sealed(&self, purpose: Purpose, version: i32, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, crypto::Unsealable> {
        crypto::open(self.version(purpose, version).ok_or(crypto::Unsealable)?.expose(), context, sealed)
    }
}

impl Keys {
    fn making(&self, purpose: Purpose) -> Option<(i32, &Entry)> {
        let version = *self.making.get(&purpose)?;
        Some((version, self.all.get(&(purpose, version))?))
    }

    /// Remembers the key of before for each purpose whose new one could not be opened: for comparing only, since its state is not active any
    /// more, by which [`Keyring::making`] refuses it.
    fn go_on_with(&mut self, before: &Self) {
        for (&(purpose, version), entry) in &self.all {
            if entry.state == KeyState::Active {
                self.making.insert(purpose, version);
            }
        }
        for (&purpose, &version) in &before.making {
            let making = *self.making.entry(purpose).or_insert(version);
            if let Some(known) = before.all.get(&(purpose, version)).filter(|_| making == version) {
                self.all.entry((purpose, version)).or_insert_with(|| Entry { state: KeyState::Revoked, ..known.clone() });
            }
        }
    }

    fn signing(&self, now: OffsetDateTime) -> impl Iterator<Item = Arc<SigningKey>> {
        self.all.values().filter(move |entry| entry.state.is_accepted(now)).filter_map(|entry| match &entry.material {
            Material::Signing(key) => Some(Arc::clone(key)),
            Material::Secret(_) => None,
        })
    }
}
