//! The SQL of passkeys. Every look-up but the one of a sign-in names whose passkey it wants. Practice 3.sql-injection.

use crate::{
    accounts::{Email, Name},
    credentials::passkey::{MAX_PASSKEYS, NewPasskey, Used},
    platform::{
        crypto,
        db::StoreError,
        keyring::{Keyring, Purpose},
    },
};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;
use webauthn_rs::prelude::Credential;

/// A passkey, with what verifies it.
pub struct Stored {
    /// Names it. Not the credential's id.
    pub id: Uuid,
    /// Whose it is.
    pub account: Uuid,
    pub(super) credential: Credential,
}

/// A passkey, as its owner sees it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Names it.
    pub id: Uuid,
    /// What the owner calls it.
    pub name: String,
    /// Whether it is, or was when it was last used, on more than one device.
    pub is_backed_up: bool,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last used.
    pub last_used_at: Option<OffsetDateTime>,
}

/// What a sign-in is checked against.
pub struct ForSignIn {
    /// The passkey.
    pub passkey: Stored,
    /// Its owner's address.
    pub email: Email,
    /// Known-device cookies from before this time are strangers'.
    pub devices_known_since: OffsetDateTime,
}

/// What became of a new one.
pub enum Stores {
    /// It is stored.
    Done(Listed),
    /// Its credential is known already, of this account or another.
    Known,
    /// The account has [`MAX_PASSKEYS`].
    TooMany,
}

/// Stores a new passkey. Behind the account's lock, so that nobody gets more than [`MAX_PASSKEYS`] by asking at once.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(
    connection: &mut PgConnection,
    keyring: &Keyring,
    now: OffsetDateTime,
    (account, name): (Uuid, &Name),
    NewPasskey(credential): &NewPasskey,
) -> Result<Stores, StoreError> {
    let count = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM passkeys WHERE user_id = $1"#, account).fetch_one(&mut *connection).await?;
    if usize::try_from(count).is_ok_and(|count| count >= MAX_PASSKEYS) {
        return Ok(Stores::TooMany);
    }
    let id = crypto::uuid_v7(now);
    let (key_version, sealed) = seal(keyring, id, account, credential)?;
    let done = sqlx::query!(
        "INSERT INTO passkeys (id, user_id, name, credential_digest, key_version, sealed, counter, is_backed_up, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (credential_digest) DO NOTHING",
        id,
        account,
        name.as_str(),
        &crypto::sha256(&credential.cred_id),
        key_version,
        sealed,
        i64::from(credential.counter),
        credential.backup_state,
        now
    )
    .execute(connection)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(Stores::Known);
    }
    Ok(Stores::Done(Listed { id, name: name.as_str().to_owned(), is_backed_up: credential.backup_state, created_at: now, last_used_at: None }))
}

/// An account's passkeys, the oldest first.
///
/// # Errors
/// When the database is away.
pub async fn list(connection: &mut PgConnection, account: Uuid) -> Result<Vec<Listed>, sqlx::Error> {
    sqlx::query_as!(Listed, "SELECT id, name, is_backed_up, created_at, last_used_at FROM passkeys WHERE user_id = $1 ORDER BY id", account)
        .fetch_all(connection)
        .await
}

/// An account's passkeys, with what verifies them.
///
/// # Errors
/// [`StoreError`].
pub async fn stored(connection: &mut PgConnection, keyring: &Keyring, account: Uuid) -> Result<Vec<Stored>, StoreError> {
    let rows = sqlx::query!("SELECT id, key_version, sealed FROM passkeys WHERE user_id = $1 ORDER BY id", account).fetch_all(connection).await?;
    rows.into_iter().filter_map(|row| open(keyring, row.id, account, row.key_version, &row.sealed).transpose()).collect()
}

/// The passkey with this credential, if it is the account's.
///
/// # Errors
/// [`StoreError`].
pub async fn find_own(connection: &mut PgConnection, keyring: &Keyring, account: Uuid, credential: &[u8]) -> Result<Option<Stored>, StoreError> {
    let row = sqlx::query!(
        "SELECT id, key_version, sealed FROM passkeys WHERE user_id = $1 AND credential_digest = $2",
        account,
        &crypto::sha256(credential)
    )
    .fetch_optional(connection)
    .await?;
    row.map_or(Ok(None), |row| open(keyring, row.id, account, row.key_version, &row.sealed))
}

/// The passkey with this credential, if the account is active.
///
/// # Errors
/// [`StoreError`].
pub async fn for_sign_in(connection: &mut PgConnection, keyring: &Keyring, credential: &[u8]) -> Result<Option<ForSignIn>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT p.id, p.user_id, p.key_version, p.sealed, u.email AS "email!", greatest(u.devices_known_since, 'epoch') AS "devices_known_since!"
           FROM passkeys p JOIN users u ON u.id = p.user_id WHERE p.credential_digest = $1 AND u.status = 'active'"#,
        &crypto::sha256(credential)
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let Ok(email) = Email::parse(&row.email) else { return Ok(None) };
    let Some(passkey) = open(keyring, row.id, row.user_id, row.key_version, &row.sealed)? else { return Ok(None) };
    Ok(Some(ForSignIn { passkey, email, devices_known_since: row.devices_known_since }))
}

/// Notes that a passkey was used, and what its device said. `false`: it is gone, or its counter has gone on meanwhile: a copy was faster.
///
/// # Errors
/// [`StoreError`].
pub async fn note_use(connection: &mut PgConnection, keyring: &Keyring, used: &Used, now: OffsetDateTime) -> Result<bool, StoreError> {
    let (key_version, sealed) = seal(keyring, used.id, used.account, &used.credential)?;
    // many devices do not count and always say 0
    let done = sqlx::query!(
        "UPDATE passkeys SET key_version = $2, sealed = $3, counter = $4, is_backed_up = $5, last_used_at = $6
         WHERE id = $1 AND (counter < $4 OR counter = 0 AND $4 = 0)",
        used.id,
        key_version,
        sealed,
        i64::from(used.credential.counter),
        used.credential.backup_state,
        now
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether the passkey is still the account's, and until the end of the transaction.
///
/// # Errors
/// When the database is away.
pub async fn hold(connection: &mut PgConnection, account: Uuid, id: Uuid) -> Result<bool, sqlx::Error> {
    let held = sqlx::query!("SELECT id FROM passkeys WHERE id = $1 AND user_id = $2 FOR SHARE", id, account).fetch_optional(connection).await?;
    Ok(held.is_some())
}

/// Gives one of the owner's passkeys another name. `None`: there is no such.
///
/// # Errors
/// When the database is away.
pub async fn rename(connection: &mut PgConnection, account: Uuid, id: Uuid, name: &Name) -> Result<Option<Listed>, sqlx::Error> {
    sqlx::query_as!(
        Listed,
        "UPDATE passkeys SET name = $3 WHERE id = $1 AND user_id = $2 RETURNING id, name, is_backed_up, created_at, last_used_at",
        id,
        account,
        name.as_str()
    )
    .fetch_optional(connection)
    .await
}

/// Removes one of the owner's passkeys. `false`: there is no such.
///
/// # Errors
/// When the database is away.
pub async fn remove(connection: &mut PgConnection, account: Uuid, id: Uuid) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM passkeys WHERE id = $1 AND user_id = $2", id, account).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// The row and its owner: what verifies somebody does not open as somebody else's.
fn place(id: Uuid, account: Uuid) -> Vec<u8> {
    [*id.as_bytes(), *account.as_bytes()].concat()
}

fn seal(keyring: &Keyring, id: Uuid, account: Uuid, credential: &Credential) -> Result<(i32, Vec<u8>), StoreError> {
    Ok(keyring.seal(Purpose::Passkey, &place(id, account), &serde_json::to_vec(credential)?)?)
}

/// `None`: its key was revoked. It is still one of the account's passkeys, and nobody can show it.
fn open(keyring: &Keyring, id: Uuid, account: Uuid, version: i32, sealed: &[u8]) -> Result<Option<Stored>, StoreError> {
    if keyring.version(Purpose::Passkey, version).is_none() {
        return Ok(None);
    }
    let plain = keyring.open_sealed(Purpose::Passkey, version, &place(id, account), sealed)?;
    Ok(Some(Stored { id, account, credential: serde_json::from_slice(&plain)? }))
}
