//! The SQL of credentials.

use crate::{accounts::Email, credentials::password::StoredHash};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// The password hash of the active account with this address. Disabled accounts look like unknown ones.
///
/// # Errors
/// When the database is away.
pub async fn password_for_sign_in(connection: &mut PgConnection, email: &Email) -> Result<Option<(Uuid, StoredHash)>, sqlx::Error> {
    let row = sqlx::query!(
        "SELECT p.user_id, p.phc, p.pepper_version FROM passwords p JOIN users u ON u.id = p.user_id
         WHERE u.email = $1 AND u.status = 'active'",
        email.as_str()
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| (row.user_id, StoredHash { phc: row.phc, pepper_version: row.pepper_version })))
}

/// Gives a new account its password.
///
/// # Errors
/// When the database is away.
pub async fn insert_password(connection: &mut PgConnection, account: Uuid, hash: &StoredHash, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO passwords (user_id, phc, pepper_version, updated_at) VALUES ($1, $2, $3, $4)",
        account,
        hash.phc,
        hash.pepper_version,
        now
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Replaces a hash by a stronger one of the same password, unless the password was changed meanwhile.
///
/// # Errors
/// When the database is away.
pub async fn upgrade_password(connection: &mut PgConnection, account: Uuid, old: &StoredHash, new: &StoredHash) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE passwords SET phc = $3, pepper_version = $4 WHERE user_id = $1 AND phc = $2", account, old.phc, new.phc, new.pepper_version)
        .execute(connection)
        .await
        .map(drop)
}
