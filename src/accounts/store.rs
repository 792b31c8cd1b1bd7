//! The SQL of accounts and registrations. Every look-up names whose row it wants. Practice 3.sql-injection.

use crate::accounts::{Account, AccountId, Email, Name, registration::Issued};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Whether an account has this address.
///
/// # Errors
/// When the database is away.
pub async fn is_known(connection: &mut PgConnection, email: &Email) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM users WHERE email = $1) AS "known!""#, email.as_str()).fetch_one(connection).await
}

/// The account of a signed-in person.
///
/// # Errors
/// When the database is away.
pub async fn find_own(connection: &mut PgConnection, owner: AccountId) -> Result<Option<Account>, sqlx::Error> {
    sqlx::query_as!(
        Account,
        r#"SELECT id AS "id: AccountId", email, name, created_at, updated_at FROM users WHERE id = $1 AND status = 'active'"#,
        owner.0
    )
    .fetch_optional(connection)
    .await
}

/// Creates an account for a proven mailbox.
///
/// # Errors
/// The unique constraint `users_email_unique` when the address has an account; otherwise when the database is away.
pub async fn insert(connection: &mut PgConnection, account: &Account) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO users (id, email, name, created_at, updated_at) VALUES ($1, $2, $3, $4, $5)",
        account.id.0,
        account.email,
        account.name,
        account.created_at,
        account.updated_at
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Changes the name of a signed-in person.
///
/// # Errors
/// When the database is away.
pub async fn rename_own(connection: &mut PgConnection, owner: AccountId, name: &Name, now: OffsetDateTime) -> Result<Option<Account>, sqlx::Error> {
    sqlx::query_as!(
        Account,
        r#"UPDATE users SET name = $2, updated_at = $3 WHERE id = $1 AND status = 'active'
           RETURNING id AS "id: AccountId", email, name, created_at, updated_at"#,
        owner.0,
        name.as_str(),
        now
    )
    .fetch_optional(connection)
    .await
}

pub(super) async fn insert_registration(
    connection: &mut PgConnection,
    issued: &Issued,
    email: &Email,
    code_digest: &[u8],
    code_key_version: i32,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO registrations (id, email, link_digest, code_digest, code_key_version, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        issued.id,
        email.as_str(),
        &issued.link.digest(),
        code_digest,
        code_key_version,
        now,
        issued.expires_at
    )
    .execute(connection)
    .await
    .map(drop)
}

pub(super) async fn registration_by_link(
    connection: &mut PgConnection,
    digest: &[u8],
    now: OffsetDateTime,
) -> Result<Option<(Uuid, String)>, sqlx::Error> {
    let row = sqlx::query!("SELECT id, email FROM registrations WHERE link_digest = $1 AND used_at IS NULL AND expires_at > $2", digest, now)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| (row.id, row.email)))
}

pub(super) struct CodeTry {
    pub email: String,
    pub code_digest: Vec<u8>,
    pub code_key_version: i32,
}

pub(super) async fn count_code_try(
    connection: &mut PgConnection,
    id: Uuid,
    max_tries: i16,
    now: OffsetDateTime,
) -> Result<Option<CodeTry>, sqlx::Error> {
    sqlx::query_as!(
        CodeTry,
        "UPDATE registrations SET tries = tries + 1 WHERE id = $1 AND tries < $2 AND used_at IS NULL AND expires_at > $3
         RETURNING email, code_digest, code_key_version",
        id,
        max_tries,
        now
    )
    .fetch_optional(connection)
    .await
}

pub(super) async fn return_code_try(connection: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE registrations SET tries = tries - 1 WHERE id = $1 AND tries > 0", id).execute(connection).await.map(drop)
}

pub(super) async fn spend_registration(connection: &mut PgConnection, id: Uuid, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("UPDATE registrations SET used_at = $2 WHERE id = $1 AND used_at IS NULL AND expires_at > $2", id, now)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn spend_registrations_of(connection: &mut PgConnection, email: &Email, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE registrations SET used_at = $2 WHERE email = $1 AND used_at IS NULL", email.as_str(), now)
        .execute(connection)
        .await
        .map(drop)
}

/// Forgets registrations that ran out before `before`. Returns how many.
///
/// # Errors
/// When the database is away.
pub async fn purge_registrations(connection: &mut PgConnection, before: OffsetDateTime) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query!("DELETE FROM registrations WHERE expires_at < $1", before).execute(connection).await?.rows_affected())
}
