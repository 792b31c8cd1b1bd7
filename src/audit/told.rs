//! Events without their personal parts, for those outside who are told of them. Practice 15.excessive-data.

use crate::audit::{Detail, store};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// What may leave the service.
pub struct Told {
    /// The event's id.
    pub id: Uuid,
    /// When.
    pub at: OffsetDateTime,
    /// What.
    pub event: String,
    /// `success` or `refused`.
    pub outcome: String,
    /// Who did it.
    pub actor: Option<Uuid>,
    /// To whom.
    pub subject: Option<Uuid>,
    /// What else: listed fields only.
    pub detail: Detail,
}

/// Those of these ids that there are, the oldest first.
///
/// # Errors
/// When the database is away.
pub async fn told(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Told>, sqlx::Error> {
    let rows = store::by_id(connection, ids).await?;
    let tell = |row: store::Row| {
        let store::Row { id, at, event, outcome, actor, subject, detail, .. } = row;
        Told { id, at, event, outcome, actor, subject, detail: Detail::to_show(detail) }
    };
    Ok(rows.into_iter().map(tell).collect())
}
