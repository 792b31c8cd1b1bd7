//! The SQL of service accounts: no statement meets a person.

use crate::accounts::{
    AccountId, Name,
    directory::Status,
    service::{MAX_ACCOUNTS, ServiceAccount},
};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

struct Row {
    id: AccountId,
    name: String,
    status: String,
    department: Option<String>,
    roles: Vec<String>,
    created_at: OffsetDateTime,
}

impl From<Row> for ServiceAccount {
    fn from(row: Row) -> Self {
        let Row { id, name, status, department, roles, created_at } = row;
        Self { id, name, status: Status::named(&status), department, roles, created_at }
    }
}

/// Makes one, unless there are [`MAX_ACCOUNTS`]. The caller holds the lock on authority. `false`: there are.
///
/// # Errors
/// When the database is away.
pub async fn insert(
    connection: &mut PgConnection,
    id: AccountId,
    name: &Name,
    department: Option<&Name>,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "INSERT INTO users (id, kind, name, department, created_at, updated_at)
         SELECT $1, 'service', $2, $3, $4, $4 WHERE (SELECT count(*) FROM users WHERE kind = 'service') < $5",
        id.0,
        name.as_str(),
        department.map(|department| department.as_str()),
        now,
        MAX_ACCOUNTS
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Service accounts, the newest first, older than `before`.
///
/// # Errors
/// When the database is away.
pub async fn list(connection: &mut PgConnection, before: Option<Uuid>, limit: i64, now: OffsetDateTime) -> Result<Vec<ServiceAccount>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT u.id AS "id: AccountId", u.name, u.status, u.department, u.created_at,
                  ARRAY(SELECT role FROM user_roles WHERE user_id = u.id AND (expires_at IS NULL OR expires_at > $3) ORDER BY role) AS "roles!"
           FROM users u WHERE u.kind = 'service' AND ($1::uuid IS NULL OR u.id < $1) ORDER BY u.id DESC LIMIT $2"#,
        before,
        limit,
        now
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(ServiceAccount::from).collect())
}

/// One service account.
///
/// # Errors
/// When the database is away.
pub async fn find(connection: &mut PgConnection, id: AccountId, now: OffsetDateTime) -> Result<Option<ServiceAccount>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT u.id AS "id: AccountId", u.name, u.status, u.department, u.created_at,
                  ARRAY(SELECT role FROM user_roles WHERE user_id = u.id AND (expires_at IS NULL OR expires_at > $2) ORDER BY role) AS "roles!"
           FROM users u WHERE u.id = $1 AND u.kind = 'service'"#,
        id.0,
        now
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(ServiceAccount::from))
}

/// Disables or enables one. `false`: there is none, or nothing changed.
///
/// # Errors
/// When the database is away.
pub async fn set_disabled(connection: &mut PgConnection, id: AccountId, disabled: bool, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE users SET status = $2, authz_version = authz_version + 1, updated_at = $3 WHERE id = $1 AND kind = 'service' AND status <> $2",
        id.0,
        if disabled { "disabled" } else { "active" },
        now
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes one, with its keys. `false`: there is none.
///
/// # Errors
/// When the database is away.
pub async fn delete(connection: &mut PgConnection, id: AccountId) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM users WHERE id = $1 AND kind = 'service'", id.0).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}
