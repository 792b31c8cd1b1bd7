//! Proofs of who someone is.

pub mod challenge;
pub mod password;
pub mod second_factor;
pub mod store;

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Takes every proof away that was added since, but for the password: somebody else may have added it.
///
/// # Errors
/// When the database is away.
pub async fn take_back(connection: &mut PgConnection, account: Uuid, since: OffsetDateTime) -> Result<(), sqlx::Error> {
    second_factor::store::remove_since(connection, account, since).await
}
