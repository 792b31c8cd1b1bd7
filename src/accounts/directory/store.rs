//! The SQL of the directory: people only.

use crate::accounts::{
    AccountId, Name,
    directory::{Filter, Listed, Status},
};
use sqlx::PgConnection;
use time::OffsetDateTime;

struct Row {
    id: AccountId,
    email: String,
    name: String,
    status: String,
    department: Option<String>,
    created_at: OffsetDateTime,
    last_signed_in_at: Option<OffsetDateTime>,
    roles: Vec<String>,
}

impl From<Row> for Listed {
    fn from(row: Row) -> Self {
        let Row { id, email, name, status, department, created_at, last_signed_in_at, roles } = row;
        Self { id, email, name, status: Status::named(&status), department, roles, created_at, last_signed_in_at }
    }
}

/// Accounts, the newest first.
///
/// # Errors
/// When the database is away.
pub async fn list(connection: &mut PgConnection, filter: &Filter, limit: i64, now: OffsetDateTime) -> Result<Vec<Listed>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT u.id AS "id: AccountId", u.email AS "email!", u.name, u.status, u.department, u.created_at, u.last_signed_in_at,
                  ARRAY(SELECT role FROM user_roles WHERE user_id = u.id AND (expires_at IS NULL OR expires_at > $7) ORDER BY role) AS "roles!"
           FROM users u
           WHERE u.kind = 'person' AND ($1::text IS NULL OR starts_with(u.email, $1)) AND ($2::text IS NULL OR u.status = $2)
             AND ($3::text IS NULL OR u.department = $3)
             AND ($4::text IS NULL OR EXISTS (SELECT FROM user_roles WHERE user_id = u.id AND role = $4 AND (expires_at IS NULL OR expires_at > $7)))
             AND ($5::uuid IS NULL OR u.id < $5)
           ORDER BY u.id DESC LIMIT $6"#,
        filter.email,
        filter.status.map(Status::name),
        filter.department,
        filter.role,
        filter.before,
        limit,
        now
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(Listed::from).collect())
}

/// One account.
///
/// # Errors
/// When the database is away.
pub async fn find(connection: &mut PgConnection, id: AccountId, now: OffsetDateTime) -> Result<Option<Listed>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id AS "id: AccountId", email AS "email!", name, status, department, created_at, last_signed_in_at,
                  ARRAY(SELECT role FROM user_roles WHERE user_id = $1 AND (expires_at IS NULL OR expires_at > $2) ORDER BY role) AS "roles!"
           FROM users WHERE id = $1 AND kind = 'person'"#,
        id.0,
        now
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(Listed::from))
}

/// Disables or enables an account; of a closing one, what it will be if its owner keeps it. `false`: there is none, or nothing changed.
///
/// # Errors
/// When the database is away.
pub async fn set_disabled(connection: &mut PgConnection, id: AccountId, disabled: bool, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let (from, to) = if disabled { ("active", "disabled") } else { ("disabled", "active") };
    let done = sqlx::query!(
        "UPDATE users SET status = CASE WHEN status = 'closing' THEN status ELSE $3 END,
             disabled_while_closing = (status = 'closing' AND $5), authz_version = authz_version + 1, updated_at = $4
         WHERE id = $1 AND kind = 'person' AND (status = $2 OR status = 'closing' AND disabled_while_closing <> $5)",
        id.0,
        from,
        to,
        now,
        disabled
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Sets the department. `false`: there is no such account.
///
/// # Errors
/// When the database is away.
pub async fn set_department(
    connection: &mut PgConnection,
    id: AccountId,
    department: Option<&Name>,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    // policies decide by it: a change of authority
    let done = sqlx::query!(
        "UPDATE users SET department = $2, authz_version = authz_version + 1, updated_at = $3 WHERE id = $1 AND kind = 'person'",
        id.0,
        department.map(|department| department.as_str()),
        now
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}
