//! The SQL of invitations.

use crate::accounts::{
    AccountId, Name,
    invitation::{Accepted, Invitation},
};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Adds what waits for the guest to the mailed proof of this id.
///
/// # Errors
/// When the database is away.
pub async fn insert(
    connection: &mut PgConnection,
    id: Uuid,
    invited_by: Uuid,
    roles: &[String],
    department: Option<&Name>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO invitations (id, invited_by, department) VALUES ($1, $2, $3)",
        id,
        invited_by,
        department.map(|department| department.as_str())
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("INSERT INTO invitation_roles (invitation, role) SELECT $1, unnest($2::text[])", id, roles).execute(connection).await.map(drop)
}

/// Takes up the invitation of a proof that was just spent. `None`: there is none, or whoever sent it is gone.
///
/// # Errors
/// When the database is away.
pub async fn accept(connection: &mut PgConnection, id: Uuid, guest: AccountId) -> Result<Option<Accepted>, sqlx::Error> {
    let found = sqlx::query!(
        r#"WITH invited AS (
               SELECT invited_by, department FROM invitations WHERE id = $1 AND revoked_at IS NULL
           ), placed AS (
               UPDATE users SET department = (SELECT department FROM invited) WHERE id = $2 AND kind = 'person'
           )
           SELECT invited_by, ARRAY(SELECT role FROM invitation_roles WHERE invitation = $1 ORDER BY role) AS "roles!" FROM invited"#,
        id,
        guest.0
    )
    .fetch_optional(connection)
    .await?;
    Ok(found.map(|row| Accepted { invited_by: row.invited_by, roles: row.roles }))
}

/// Invitations, the newest first, older than `before`.
///
/// # Errors
/// When the database is away.
pub async fn list(connection: &mut PgConnection, before: Option<Uuid>, limit: i64) -> Result<Vec<Invitation>, sqlx::Error> {
    sqlx::query_as!(
        Invitation,
        r#"SELECT i.id, p.email, i.invited_by, ARRAY(SELECT role FROM invitation_roles WHERE invitation = i.id ORDER BY role) AS "roles!",
                  i.department, p.created_at, p.expires_at, p.used_at, i.revoked_at
           FROM invitations i JOIN mailed_proofs p USING (id) WHERE $1::uuid IS NULL OR i.id < $1 ORDER BY i.id DESC LIMIT $2"#,
        before,
        limit
    )
    .fetch_all(connection)
    .await
}

/// Takes an invitation back. Returns its roles; `None`: there is none that is still open.
///
/// # Errors
/// When the database is away.
pub async fn revoke(connection: &mut PgConnection, id: Uuid, now: OffsetDateTime) -> Result<Option<Vec<String>>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"WITH spent AS (UPDATE mailed_proofs SET used_at = $2 WHERE id = $1 AND used_at IS NULL AND expires_at > $2 RETURNING id)
           UPDATE invitations SET revoked_at = $2 WHERE id IN (SELECT id FROM spent)
           RETURNING ARRAY(SELECT role FROM invitation_roles WHERE invitation = $1) AS "roles!""#,
        id,
        now
    )
    .fetch_optional(connection)
    .await
}
