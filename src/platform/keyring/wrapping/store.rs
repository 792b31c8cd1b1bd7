//! The SQL of sealing the keyring anew.

use sqlx::PgConnection;

/// Where a walk over the keyring stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Place(String, i32);

pub(super) struct Row {
    pub purpose: String,
    pub version: i32,
    pub sealed: Vec<u8>,
}

impl Row {
    pub fn place(&self) -> Place {
        Place(self.purpose.clone(), self.version)
    }
}

/// Keys of all states, but for those that were destroyed.
pub(super) async fn batch(connection: &mut PgConnection, after: &Place, limit: i64) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT purpose, version, sealed FROM keyring WHERE (purpose, version) > ($1, $2) AND octet_length(sealed) > 0
         ORDER BY purpose, version LIMIT $3",
        after.0,
        after.1,
        limit
    )
    .fetch_all(connection)
    .await
}

pub(super) async fn replace(connection: &mut PgConnection, row: &Row, sealed: &[u8]) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE keyring SET sealed = $3 WHERE purpose = $1 AND version = $2", row.purpose, row.version, sealed)
        .execute(connection)
        .await
        .map(drop)
}
