//! One key a person, made when it is first needed, sealed under the keyring's subject key. Whatever stays after a person is
//! erased was sealed with it and cannot be opened by anybody any more.

use crate::{
    audit::store,
    platform::{
        crypto,
        db::StoreError,
        keyring::{KeyBytes, Keyring, Purpose},
    },
};
use sqlx::PgConnection;
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// Seals under the subject's key; where there is no subject, under the keyring's, and gives back its version.
///
/// # Errors
/// [`StoreError`].
pub async fn seal(
    connection: &mut PgConnection,
    keyring: &Keyring,
    now: OffsetDateTime,
    subject: Option<Uuid>,
    context: &[u8],
    plain: &[u8],
) -> Result<(Option<i32>, Vec<u8>), StoreError> {
    // asked for nobody's key too: a stranger's failed call costs the same work whether the account exists or not
    let asked = [subject.unwrap_or_default()];
    let known = of(connection, keyring, &asked).await?.remove(&asked[0]);
    let Some(subject) = subject else {
        let (version, sealed) = keyring.seal(Purpose::NobodysEvent, context, plain)?;
        return Ok((Some(version), sealed));
    };
    let key = match known {
        Some(key) => key,
        None => {
            let (version, sealed) = keyring.seal(Purpose::Subject, subject.as_bytes(), &crypto::random::<32>())?;
            store::insert_key(connection, subject, version, &sealed, now).await?;
            // another transaction may have been first
            of(connection, keyring, &[subject]).await?.remove(&subject).ok_or(crypto::Unsealable)?
        }
    };
    Ok((None, crypto::seal(key.expose(), context, plain)?))
}

/// The keys of these people, as far as they exist.
///
/// # Errors
/// [`StoreError`].
pub async fn of(connection: &mut PgConnection, keyring: &Keyring, subjects: &[Uuid]) -> Result<HashMap<Uuid, KeyBytes>, StoreError> {
    let rows = store::keys(connection, subjects).await?;
    let keys = rows.into_iter().filter_map(|(subject, version, sealed)| {
        let key = keyring.open_sealed(Purpose::Subject, version, subject.as_bytes(), &sealed).ok()?;
        Some((subject, KeyBytes::new(key.try_into().ok()?)))
    });
    Ok(keys.collect())
}

/// Forgets a person's key: nobody can open what was sealed with it.
///
/// # Errors
/// When the database is away.
pub async fn forget(connection: &mut PgConnection, subject: Uuid) -> Result<(), sqlx::Error> {
    store::delete_key(connection, subject).await
}

pub(super) fn open_nobodys(keyring: &Keyring, version: Option<i32>, context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    keyring.open_sealed(Purpose::NobodysEvent, version?, context, sealed).ok()
}
