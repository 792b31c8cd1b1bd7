//! What hangs on each key: rows that are sealed under it, or digests that were made with it. Sealed rows move to the active key in small
//! batches beside whatever else goes on: a row that changed meanwhile, or that somebody holds, is left for the next round, so nobody
//! waits and nothing newer is written over. A walk can be stopped anywhere and begun again.
//!
//! A purpose whose rows are sealed has one line in `store.rs`.
//! Practice 9.rotate. Tests: `tests/suite/journeys/rotation.rs`.

mod store;

use crate::platform::{
    crypto::Unsealable,
    db::StoreError,
    keyring::{Keyring, KeyringError, Purpose, Rotation, SETTLED, store as keys},
};
use sqlx::{PgConnection, PgPool};
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Rows of one round trip.
pub const BATCH: i64 = 100;

/// How many rows hang on each version; nothing is said of purposes that do not count.
///
/// # Errors
/// When the database is away.
pub async fn count(connection: &mut PgConnection, purpose: Purpose) -> Result<Option<HashMap<i32, i64>>, sqlx::Error> {
    match purpose.rotation() {
        Rotation::Reseal | Rotation::UntilGone => Ok(Some(store::count(connection, purpose).await?.into_iter().collect())),
        Rotation::Overlap(_) | Rotation::ForEver => Ok(None),
    }
}

/// What a walk did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Walk {
    /// Rows that are under the active key now.
    pub resealed: u64,
    /// Rows that do not open: altered, or in another place than they were written to.
    pub unreadable: u64,
    /// Whether it came to the end.
    pub is_through: bool,
}

/// Seals rows under retired keys anew, at most so many batches. Tells after each how many rows it changed so far. A node that does not open
/// every key that counts seals nothing: what it takes for the active key may be destroyed.
///
/// # Errors
/// [`StoreError`]; what was done stays done.
pub async fn reseal(
    pool: &PgPool,
    keyring: &Keyring,
    purpose: Purpose,
    (batches, size): (usize, i64),
    mut tell: impl FnMut(u64),
) -> Result<Walk, StoreError> {
    let (mut walk, mut after) = (Walk::default(), Uuid::nil());
    let retired = keyring.retired(purpose);
    if purpose.rotation() != Rotation::Reseal || retired.is_empty() {
        return Ok(Walk { is_through: true, ..walk });
    }
    for _ in 0..batches {
        let mut connection = pool.acquire().await?;
        keys::ensure_opens(&mut connection, keyring.key_encryption()).await.map_err(|error| match error {
            KeyringError::Database(error) => StoreError::Database(error),
            _ => StoreError::Seal(Unsealable),
        })?;
        let rows = store::batch(&mut connection, purpose, &retired, after, size).await?;
        let Some(last) = rows.last() else { return Ok(Walk { is_through: true, ..walk }) };
        after = last.id;
        let mut anew = store::Anew::default();
        for row in rows {
            let Ok(plain) = keyring.open_sealed(purpose, row.version, &row.context, &row.sealed).map(Zeroizing::new) else {
                walk.unreadable += 1;
                continue;
            };
            let (version, sealed) = keyring.seal(purpose, &row.context, &plain)?;
            anew.push(row, version, sealed);
        }
        walk.resealed += store::replace(&mut connection, purpose, &anew).await?;
        tell(walk.resealed);
    }
    Ok(walk)
}

/// Ends and destroys retired keys whose time is over: what they made has run out, or nothing has hung on them at two looks, far enough apart
/// for every node to know, for what was on its way to come in, and for what was read to be opened. Returns how many.
///
/// # Errors
/// When the database is away; the caller rolls back.
pub async fn end_idle(connection: &mut PgConnection, purpose: Purpose, now: OffsetDateTime) -> Result<u64, sqlx::Error> {
    keys::lock(connection).await?;
    let mut ended = 0;
    for key in keys::list(connection).await?.into_iter().filter(|key| key.purpose == purpose.name() && key.state == "retired") {
        let is_over = match purpose.rotation() {
            Rotation::Overlap(_) => key.accepted_until.is_some_and(|until| until + SETTLED <= now),
            Rotation::Reseal | Rotation::UntilGone => {
                let is_idle = !store::is_used(connection, purpose, key.version).await?;
                if is_idle != key.accepted_until.is_some() {
                    keys::set_end(connection, purpose, key.version, is_idle.then_some(now + SETTLED)).await?;
                }
                is_idle && key.accepted_until.is_some_and(|until| until <= now)
            }
            Rotation::ForEver => false,
        };
        if is_over {
            keys::end(connection, purpose, key.version, now).await?;
            ended += 1;
        }
    }
    Ok(ended)
}

/// Takes away what revoked keys leave behind: it is worth nothing, and lists would show it as if it were. What it must not weaken stays: a
/// second factor that nobody can show any more is still asked for. Returns how many rows. Can be done again.
///
/// # Errors
/// When the database is away.
pub async fn clear_revoked(connection: &mut PgConnection, purpose: Purpose, now: OffsetDateTime) -> Result<u64, sqlx::Error> {
    store::allow_time(connection).await?;
    store::clear_revoked(connection, purpose, now).await
}
