//! The key-encryption key: it seals the keyring and nothing else, and never enters the database. It is replaced in three steps, none of
//! which stops a node: nodes start with the new key and the previous one, both of which open; [`reencrypt`] seals what is left under the
//! previous one anew; nodes start without it. Whatever is half done opens.
//! Practices 9.rotate, 9.never-hardcode. Attacks: `tests/suite/attacks/s09_secrets/foreign_key_encryption_key.rs`.

mod store;

use crate::platform::{
    crypto::{self, Unsealable},
    keyring::{KeyBytes, Keyring, KeyringError},
};
use sqlx::PgPool;
use zeroize::Zeroizing;

/// Keys that one transaction seals anew.
pub const BATCH: i64 = 20;

/// What opens the keyring, and what seals it.
#[derive(Debug, Clone)]
pub struct KeyEncryption {
    current: KeyBytes,
    previous: Option<KeyBytes>,
}

impl From<&KeyBytes> for KeyEncryption {
    fn from(key: &KeyBytes) -> Self {
        Self::new(key.clone(), None)
    }
}

/// Which of the two opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Under {
    Current,
    Previous,
}

impl KeyEncryption {
    /// The key that seals and opens, and the one before it, which opens only.
    #[must_use]
    pub fn new(current: KeyBytes, previous: Option<KeyBytes>) -> Self {
        Self { current, previous }
    }

    /// Whether there is one that only opens.
    #[must_use]
    pub fn has_previous(&self) -> bool {
        self.previous.is_some()
    }

    pub(super) fn seal(&self, purpose: &str, version: i32, secret: &[u8]) -> Result<Vec<u8>, Unsealable> {
        crypto::seal(self.current.expose(), &context(purpose, version), secret)
    }

    pub(super) fn open(&self, purpose: &str, version: i32, sealed: &[u8]) -> Result<(Under, Zeroizing<Vec<u8>>), Unsealable> {
        let context = context(purpose, version);
        let keys = [(Under::Current, Some(&self.current)), (Under::Previous, self.previous.as_ref())];
        let mut opened = keys.into_iter().filter_map(|(under, key)| Some((under, crypto::open(key?.expose(), &context, sealed).ok()?)));
        opened.next().map(|(under, secret)| (under, Zeroizing::new(secret))).ok_or(Unsealable)
    }
}

/// The row, so that no key opens as another one.
fn context(purpose: &str, version: i32) -> Vec<u8> {
    format!("keyring/{purpose}/{version}").into_bytes()
}

/// How much of the keyring hangs on which key-encryption key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Sealed under the current one.
    pub current: usize,
    /// Sealed under the previous one: it is needed until these are sealed anew.
    pub previous: usize,
    /// Sealed under neither.
    pub neither: usize,
}

/// Counts what is sealed under which key. Keys that are worth nothing any more count too, unless they were destroyed.
///
/// # Errors
/// When the database is away.
pub async fn standing(pool: &PgPool, keys: &KeyEncryption) -> Result<Standing, sqlx::Error> {
    let (mut standing, mut after) = (Standing::default(), store::Place::default());
    loop {
        let rows = store::batch(&mut *pool.acquire().await?, &after, BATCH).await?;
        let Some(last) = rows.last() else { return Ok(standing) };
        after = last.place();
        for row in &rows {
            match keys.open(&row.purpose, row.version, &row.sealed) {
                Ok((Under::Current, _)) => standing.current += 1,
                Ok((Under::Previous, _)) => standing.previous += 1,
                Err(_) => standing.neither += 1,
            }
        }
    }
}

/// Seals every key anew that the previous key-encryption key opens, in small transactions: it can be stopped anywhere, begun again, and
/// done twice at once. Tells after each transaction how many keys it changed so far. Returns how many in all.
///
/// # Errors
/// [`KeyringError`]; what was done stays done.
pub async fn reencrypt(pool: &PgPool, keyring: &Keyring, batch: i64, mut tell: impl FnMut(usize)) -> Result<usize, KeyringError> {
    let (mut done, mut after) = (0, store::Place::default());
    loop {
        let mut transaction = pool.begin().await?;
        // a key that is destroyed meanwhile must not come back
        super::store::lock(&mut transaction).await?;
        let rows = store::batch(&mut transaction, &after, batch).await?;
        let Some(last) = rows.last() else { return Ok(done) };
        after = last.place();
        for row in &rows {
            if let Ok((Under::Previous, secret)) = keyring.key_encryption().open(&row.purpose, row.version, &row.sealed) {
                let sealed = keyring.key_encryption().seal(&row.purpose, row.version, &secret)?;
                store::replace(&mut transaction, row, &sealed).await?;
                done += 1;
            }
        }
        transaction.commit().await?;
        tell(done);
    }
}
