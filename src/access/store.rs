//! The SQL of roles and permissions. Knows accounts by id only.

use crate::access::role::{Assignment, Holder, Role};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Changes of authority happen one after the other: this number is their advisory lock, held to the end of the transaction.
const AUTHORITY_LOCK: i64 = 0x706f_7274_6175_7468;

pub(super) async fn lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!(r#"SELECT pg_advisory_xact_lock($1) IS NULL AS "locked""#, AUTHORITY_LOCK).fetch_one(connection).await.map(drop)
}

pub(super) async fn permissions_of(
    connection: &mut PgConnection,
    account: Uuid,
    assurance: i16,
    now: OffsetDateTime,
) -> Result<Vec<(String, Option<OffsetDateTime>)>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT p.permission, CASE WHEN bool_and(r.expires_at IS NOT NULL) THEN max(r.expires_at) END AS until
         FROM user_roles r JOIN roles d ON d.name = r.role JOIN role_permissions p USING (role) JOIN users u ON u.id = r.user_id
         WHERE r.user_id = $1 AND u.status = 'active' AND (r.expires_at IS NULL OR r.expires_at > $2)
           AND (NOT d.requires_second_factor OR $3 >= 2) GROUP BY p.permission",
        account,
        now,
        i32::from(assurance)
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.permission, row.until)).collect())
}

/// What an active account may do now, as [`permissions_of`], and the version of its authority. `None`: it is not active.
pub(super) async fn authority_of(
    connection: &mut PgConnection,
    account: Uuid,
    assurance: i16,
    now: OffsetDateTime,
) -> Result<Option<(i32, Vec<(String, Option<OffsetDateTime>)>)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT u.authz_version, p.permission AS "permission?", CASE WHEN bool_and(r.expires_at IS NOT NULL) THEN max(r.expires_at) END AS until
           FROM users u LEFT JOIN (user_roles r JOIN roles d ON d.name = r.role AND (NOT d.requires_second_factor OR $3 >= 2))
                ON r.user_id = u.id AND (r.expires_at IS NULL OR r.expires_at > $2)
           LEFT JOIN role_permissions p USING (role)
           WHERE u.id = $1 AND u.status = 'active' GROUP BY u.authz_version, p.permission"#,
        account,
        now,
        i32::from(assurance)
    )
    .fetch_all(connection)
    .await?;
    let Some(version) = rows.first().map(|row| row.authz_version) else { return Ok(None) };
    Ok(Some((version, rows.into_iter().filter_map(|row| Some((row.permission?, row.until))).collect())))
}

/// Where an active account belongs, and its roles that count now at this assurance level.
pub(super) async fn standing_of(
    connection: &mut PgConnection,
    account: Uuid,
    assurance: i16,
    now: OffsetDateTime,
) -> Result<Option<(Option<String>, Vec<String>)>, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT u.department, ARRAY(SELECT r.role FROM user_roles r JOIN roles d ON d.name = r.role WHERE r.user_id = u.id
                  AND (r.expires_at IS NULL OR r.expires_at > $2) AND (NOT d.requires_second_factor OR $3 >= 2)) AS "roles!"
           FROM users u WHERE u.id = $1 AND u.status = 'active'"#,
        account,
        now,
        i32::from(assurance)
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| (row.department, row.roles)))
}

/// Those that a disabled account would have again, too.
pub(super) async fn all_permissions_of(connection: &mut PgConnection, account: Uuid, now: OffsetDateTime) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT DISTINCT p.permission FROM user_roles r JOIN role_permissions p USING (role)
         WHERE r.user_id = $1 AND (r.expires_at IS NULL OR r.expires_at > $2)",
        account,
        now
    )
    .fetch_all(connection)
    .await
}

/// Whether a session lives, to be asked behind a lock that whoever changes something holds.
///
/// # Errors
/// When the database is away.
pub async fn is_session_live(connection: &mut PgConnection, account: Uuid, session: Uuid, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM sessions WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL AND absolute_expires_at > $3) AS "live!""#,
        session,
        account,
        now
    )
    .fetch_one(connection)
    .await
}

pub(super) async fn account_exists(connection: &mut PgConnection, subject: Holder) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM users WHERE id = $1 AND kind = $2) AS "exists!""#, subject.id(), subject.kind())
        .fetch_one(connection)
        .await
}

/// People only: a machine signs nobody in and helps nobody.
pub(super) async fn administrators(connection: &mut PgConnection, role: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM user_roles r JOIN users u ON u.id = r.user_id
           WHERE r.role = $1 AND r.expires_at IS NULL AND u.status = 'active' AND u.kind = 'person'"#,
        role
    )
    .fetch_one(connection)
    .await
}

pub(super) async fn is_administrator(connection: &mut PgConnection, account: Uuid, role: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM user_roles r JOIN users u ON u.id = r.user_id
                          WHERE r.user_id = $1 AND r.role = $2 AND r.expires_at IS NULL AND u.kind = 'person') AS "is!""#,
        account,
        role
    )
    .fetch_one(connection)
    .await
}

/// The roles that an account has now.
///
/// # Errors
/// When the database is away.
pub async fn assignments_of(connection: &mut PgConnection, account: Uuid, now: OffsetDateTime) -> Result<Vec<Assignment>, sqlx::Error> {
    sqlx::query_as!(
        Assignment,
        "SELECT role, expires_at FROM user_roles WHERE user_id = $1 AND (expires_at IS NULL OR expires_at > $2) ORDER BY role",
        account,
        now
    )
    .fetch_all(connection)
    .await
}

pub(super) async fn set_assignments(
    connection: &mut PgConnection,
    account: Uuid,
    wanted: &[Assignment],
    granted_by: Option<Uuid>,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let roles: Vec<String> = wanted.iter().map(|assignment| assignment.role.clone()).collect();
    let ends: Vec<Option<OffsetDateTime>> = wanted.iter().map(|assignment| assignment.expires_at).collect();
    sqlx::query!("DELETE FROM user_roles WHERE user_id = $1 AND role <> ALL($2)", account, &roles).execute(&mut *connection).await?;
    sqlx::query!(
        "INSERT INTO user_roles AS r (user_id, role, granted_by, granted_at, expires_at)
         SELECT $1, w.role, $4, $5, w.expires_at FROM unnest($2::text[], $3::timestamptz[]) w (role, expires_at)
         ON CONFLICT (user_id, role) DO UPDATE SET granted_by = $4, granted_at = $5, expires_at = excluded.expires_at
         WHERE r.expires_at IS DISTINCT FROM excluded.expires_at",
        account,
        &roles,
        &ends as &[Option<OffsetDateTime>],
        granted_by,
        now
    )
    .execute(connection)
    .await
    .map(drop)
}

pub(super) async fn bump_account(connection: &mut PgConnection, account: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE users SET authz_version = authz_version + 1 WHERE id = $1", account).execute(connection).await.map(drop)
}

pub(super) async fn bump_holders(connection: &mut PgConnection, role: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE users SET authz_version = authz_version + 1 WHERE id IN (SELECT user_id FROM user_roles WHERE role = $1)", role)
        .execute(connection)
        .await
        .map(drop)
}

/// All roles with their permissions, by name.
///
/// # Errors
/// When the database is away.
pub async fn roles(connection: &mut PgConnection) -> Result<Vec<Role>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT r.name, r.description, r.built_in, r.requires_second_factor, array_remove(array_agg(p.permission), NULL) AS "permissions!"
           FROM roles r LEFT JOIN role_permissions p ON p.role = r.name GROUP BY r.name ORDER BY r.name"#
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Role {
            name: row.name,
            description: row.description,
            built_in: row.built_in,
            permissions: row.permissions.into_iter().collect(),
            requires_second_factor: row.requires_second_factor,
        })
        .collect())
}

/// All permissions, with what they are for, by name.
///
/// # Errors
/// When the database is away.
pub async fn permissions(connection: &mut PgConnection) -> Result<Vec<(String, String)>, sqlx::Error> {
    let rows = sqlx::query!("SELECT name, description FROM permissions ORDER BY name").fetch_all(connection).await?;
    Ok(rows.into_iter().map(|row| (row.name, row.description)).collect())
}

pub(super) async fn insert_role(connection: &mut PgConnection, role: &Role, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "INSERT INTO roles (name, description, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        role.name,
        role.description,
        now
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn describe_role(connection: &mut PgConnection, name: &str, description: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE roles SET description = $2 WHERE name = $1", name, description).execute(connection).await.map(drop)
}

pub(super) async fn require_second_factor(connection: &mut PgConnection, name: &str, is_required: bool) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE roles SET requires_second_factor = $2 WHERE name = $1", name, is_required).execute(connection).await.map(drop)
}

pub(super) async fn set_permissions(connection: &mut PgConnection, role: &str, permissions: &[String]) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM role_permissions WHERE role = $1 AND permission <> ALL($2)", role, permissions).execute(&mut *connection).await?;
    sqlx::query!("INSERT INTO role_permissions (role, permission) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING", role, permissions)
        .execute(connection)
        .await
        .map(drop)
}

pub(super) async fn delete_role(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM roles WHERE name = $1", name).execute(connection).await.map(drop)
}

/// Forgets assignments that ran out, at most `batch`. Returns how many.
///
/// # Errors
/// When the database is away.
pub async fn purge(connection: &mut PgConnection, now: OffsetDateTime, batch: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM user_roles WHERE (user_id, role) IN (SELECT user_id, role FROM user_roles WHERE expires_at <= $1 LIMIT $2)",
        now,
        batch
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
