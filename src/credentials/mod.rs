//! Proofs of who someone is.

pub mod api_key;
pub mod challenge;
pub mod federation;
pub mod passkey;
pub mod password;
pub mod second_factor;
pub mod store;

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Takes every proof away that was added since, but for the password: somebody else may have added it. Where no second factor is older, those
/// that there are stay: the owner has agreed to the first by mail, and whoever reads the mail now must not undo that.
///
/// # Errors
/// When the database is away.
pub async fn take_back(connection: &mut PgConnection, account: Uuid, since: OffsetDateTime) -> Result<(), sqlx::Error> {
    federation::store::unlink_since(connection, account, since).await?;
    if second_factor::store::is_any_older(connection, account, since).await? {
        second_factor::store::remove_since(connection, account, since).await?;
    }
    Ok(())
}
