//! The SQL of credentials.

use crate::{accounts::Email, credentials::password::StoredHash};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// What a sign-in is checked against.
#[derive(Debug, Clone)]
pub struct ForSignIn {
    /// Whose it is.
    pub account: Uuid,
    /// The password's hash.
    pub hash: StoredHash,
    /// Known-device cookies from before this time are strangers'.
    pub devices_known_since: OffsetDateTime,
}

/// What a sign-in to the active account with this address is checked against. Disabled accounts, and those whose password was
/// taken away, look like unknown ones.
///
/// # Errors
/// When the database is away.
pub async fn for_sign_in(connection: &mut PgConnection, email: &Email) -> Result<Option<ForSignIn>, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT p.user_id, p.phc, p.pepper_version, greatest(u.devices_known_since, 'epoch') AS "devices_known_since!"
           FROM passwords p JOIN users u ON u.id = p.user_id WHERE u.email = $1 AND u.status = 'active'"#,
        email.as_str()
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| ForSignIn {
        account: row.user_id,
        hash: StoredHash { phc: row.phc, pepper_version: row.pepper_version },
        devices_known_since: row.devices_known_since,
    }))
}

/// The password hash of a signed-in person.
///
/// # Errors
/// When the database is away.
pub async fn own_password(connection: &mut PgConnection, account: Uuid) -> Result<Option<StoredHash>, sqlx::Error> {
    sqlx::query_as!(StoredHash, "SELECT phc, pepper_version FROM passwords WHERE user_id = $1", account).fetch_optional(connection).await
}

/// Gives an account its first or a new password.
///
/// # Errors
/// When the database is away.
pub async fn set_password(connection: &mut PgConnection, account: Uuid, hash: &StoredHash, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO passwords (user_id, phc, pepper_version, updated_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (user_id) DO UPDATE SET phc = $2, pepper_version = $3, updated_at = $4",
        account,
        hash.phc,
        hash.pepper_version,
        now
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Gives an account a password that has none. `false`: it has one.
///
/// # Errors
/// When the database is away.
pub async fn set_first_password(connection: &mut PgConnection, account: Uuid, hash: &StoredHash, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "INSERT INTO passwords (user_id, phc, pepper_version, updated_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        account,
        hash.phc,
        hash.pepper_version,
        now
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// How many ways there are into an account. To be asked behind its lock, before one is removed.
///
/// # Errors
/// When the database is away.
pub async fn ways_in(connection: &mut PgConnection, account: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT (SELECT count(*) FROM passwords WHERE user_id = $1) + (SELECT count(*) FROM passkeys WHERE user_id = $1)
                  + (SELECT count(*) FROM identities WHERE user_id = $1) AS "ways!""#,
        account
    )
    .fetch_one(connection)
    .await
}

/// Takes the password away: nobody signs in with it until a letter sets a new one.
///
/// # Errors
/// When the database is away.
pub async fn remove_password(connection: &mut PgConnection, account: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM passwords WHERE user_id = $1", account).execute(connection).await.map(drop)
}

/// Makes sure, until the end of the transaction, that the password that was verified is still the account's, and replaces its
/// hash by a stronger one where there is one. `false`: it was changed while it was verified, and what it proved is void.
///
/// # Errors
/// When the database is away.
pub async fn confirm_password(
    connection: &mut PgConnection,
    account: Uuid,
    verified: &StoredHash,
    upgraded: Option<&StoredHash>,
) -> Result<bool, sqlx::Error> {
    let hash = upgraded.unwrap_or(verified);
    // also where nothing changes: the row's lock makes a parallel change of the password wait, and then end the new session too
    let done = sqlx::query!(
        "UPDATE passwords SET phc = $3, pepper_version = $4 WHERE user_id = $1 AND phc = $2",
        account,
        verified.phc,
        hash.phc,
        hash.pepper_version
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}
