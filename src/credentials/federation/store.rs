//! The SQL of identities. Practices 1.object-check, 3.sql-injection.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// An identity that is linked to an account.
#[derive(Debug, Clone)]
pub struct Linked {
    /// Its id here.
    pub id: Uuid,
    /// Whose it is.
    pub account: Uuid,
    /// That account's address.
    pub email: String,
    /// Known-device cookies from before this time are strangers'.
    pub devices_known_since: OffsetDateTime,
}

/// The active account that an identity leads to.
///
/// # Errors
/// When the database is away.
pub async fn find_active(connection: &mut PgConnection, issuer: &str, subject: &str) -> Result<Option<Linked>, sqlx::Error> {
    sqlx::query_as!(
        Linked,
        r#"SELECT i.id, u.id AS account, u.email AS "email!", greatest(u.devices_known_since, 'epoch') AS "devices_known_since!"
           FROM identities i JOIN users u ON u.id = i.user_id WHERE i.issuer = $1 AND i.subject = $2 AND u.status = 'active'"#,
        issuer,
        subject
    )
    .fetch_optional(connection)
    .await
}

/// Links an identity to an active account, and waits for whoever changes that account's ways in. `false`: it belongs to somebody, or the
/// account is not active.
///
/// # Errors
/// When the database is away.
pub async fn link(
    connection: &mut PgConnection,
    id: Uuid,
    account: Uuid,
    issuer: &str,
    subject: &str,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "INSERT INTO identities (id, user_id, issuer, subject, linked_at)
         SELECT $1, u.id, $3, $4, $5 FROM users u WHERE u.id = $2 AND u.kind = 'person' AND u.status = 'active' FOR NO KEY UPDATE
         ON CONFLICT (issuer, subject) DO NOTHING",
        id,
        account,
        issuer,
        subject,
        now
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Makes sure, until the end of the transaction, that the identity still leads to the account, and notes its use. `false`: it was
/// unlinked meanwhile.
///
/// # Errors
/// When the database is away.
pub async fn confirm(connection: &mut PgConnection, account: Uuid, id: Uuid, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("UPDATE identities SET last_used_at = $3 WHERE id = $1 AND user_id = $2", id, account, now).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// One of one's own identities.
#[derive(Debug, Clone)]
pub struct Own {
    /// Its id here.
    pub id: Uuid,
    /// Who vouches.
    pub issuer: String,
    /// Who it is there.
    pub subject: String,
    /// Since when it leads here.
    pub linked_at: OffsetDateTime,
    /// When somebody last signed in by it.
    pub last_used_at: Option<OffsetDateTime>,
}

/// An account's identities, the oldest first.
///
/// # Errors
/// When the database is away.
pub async fn list_own(connection: &mut PgConnection, account: Uuid) -> Result<Vec<Own>, sqlx::Error> {
    sqlx::query_as!(Own, "SELECT id, issuer, subject, linked_at, last_used_at FROM identities WHERE user_id = $1 ORDER BY id LIMIT 1000", account)
        .fetch_all(connection)
        .await
}

/// How many identities an account has.
///
/// # Errors
/// When the database is away.
pub async fn count_own(connection: &mut PgConnection, account: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM identities WHERE user_id = $1"#, account).fetch_one(connection).await
}

/// Takes one of one's own identities away. Returns its issuer; `None`: there is no such one.
///
/// # Errors
/// When the database is away.
pub async fn unlink_own(connection: &mut PgConnection, account: Uuid, id: Uuid) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!("DELETE FROM identities WHERE id = $1 AND user_id = $2 RETURNING issuer", id, account).fetch_optional(connection).await
}

/// Takes the identities away that were linked since: somebody else may have linked them.
///
/// # Errors
/// When the database is away.
pub async fn unlink_since(connection: &mut PgConnection, account: Uuid, since: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM identities WHERE user_id = $1 AND linked_at >= $2", account, since).execute(connection).await.map(drop)
}
