//! The SQL of people's accounts: no statement meets one of a service. Every look-up names whose row it wants. Practice 3.sql-injection.

use crate::accounts::{Account, AccountId, Email, Name, RichText, directory::Status};
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
        r#"SELECT id AS "id: AccountId", email AS "email!", name, about, department, created_at, updated_at FROM users
           WHERE id = $1 AND kind = 'person' AND status = 'active'"#,
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
        "INSERT INTO users (id, email, name, created_at, updated_at, devices_known_since) VALUES ($1, $2, $3, $4, $5, $4)",
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

/// Changes what is given of a signed-in person's profile.
///
/// # Errors
/// When the database is away.
pub async fn change_own(
    connection: &mut PgConnection,
    owner: AccountId,
    name: Option<&Name>,
    about: Option<&RichText>,
    now: OffsetDateTime,
) -> Result<Option<Account>, sqlx::Error> {
    sqlx::query_as!(
        Account,
        r#"UPDATE users SET name = coalesce($2, name), about = coalesce($3, about), updated_at = $4
           WHERE id = $1 AND kind = 'person' AND status = 'active'
           RETURNING id AS "id: AccountId", email AS "email!", name, about, department, created_at, updated_at"#,
        owner.0,
        name.map(Name::as_str),
        about.map(RichText::as_str),
        now
    )
    .fetch_optional(connection)
    .await
}

/// The account with this address, and its state.
///
/// # Errors
/// When the database is away.
pub async fn find_by_email(connection: &mut PgConnection, email: &Email) -> Result<Option<(AccountId, Status)>, sqlx::Error> {
    let row = sqlx::query!(r#"SELECT id AS "id: AccountId", status FROM users WHERE email = $1"#, email.as_str()).fetch_optional(connection).await?;
    Ok(row.map(|row| (row.id, Status::named(&row.status))))
}

/// Gives an account another proven address; devices are known by the address, so they become strangers. Returns the old one;
/// `None`: there is no such account.
///
/// # Errors
/// The unique constraint `users_email_unique` when the address has an account; otherwise when the database is away.
pub async fn change_email(connection: &mut PgConnection, owner: AccountId, new: &Email, now: OffsetDateTime) -> Result<Option<Email>, sqlx::Error> {
    let old = sqlx::query_scalar!(
        r#"UPDATE users u SET email = $2, updated_at = $3, devices_known_since = $3 FROM (SELECT email FROM users WHERE id = $1 FOR UPDATE) old
           WHERE u.id = $1 AND u.kind = 'person' RETURNING old.email AS "email!""#,
        owner.0,
        new.as_str(),
        now
    )
    .fetch_optional(connection)
    .await?;
    Ok(old.and_then(|old| Email::parse(&old).ok()))
}

/// Notes a sign-in to an active account. Returns whether it was the first; `None`: the account is not active any more.
///
/// # Errors
/// When the database is away.
pub async fn mark_signed_in(connection: &mut PgConnection, owner: AccountId, now: OffsetDateTime) -> Result<Option<bool>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"UPDATE users u SET last_signed_in_at = $2 FROM (SELECT last_signed_in_at FROM users WHERE id = $1 FOR UPDATE) old
           WHERE u.id = $1 AND u.kind = 'person' AND u.status = 'active' RETURNING old.last_signed_in_at IS NULL AS "first!""#,
        owner.0,
        now
    )
    .fetch_optional(connection)
    .await
}

/// Waits for its turn with an account, until the end of the transaction.
///
/// # Errors
/// When the database is away.
pub async fn lock(connection: &mut PgConnection, owner: AccountId) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT id FROM users WHERE id = $1 FOR UPDATE", owner.0).fetch_optional(connection).await.map(drop)
}

/// From now on every device of an active account is a stranger again. `false`: there is no such account.
///
/// # Errors
/// When the database is away.
pub async fn forget_devices(connection: &mut PgConnection, owner: AccountId, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("UPDATE users SET devices_known_since = $2 WHERE id = $1 AND kind = 'person' AND status = 'active'", owner.0, now)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Closes an active account: it will be erased at `erase_at`. `false`: it is not active any more.
///
/// # Errors
/// When the database is away.
pub async fn close(connection: &mut PgConnection, owner: AccountId, erase_at: OffsetDateTime, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE users SET status = 'closing', erase_at = $2, authz_version = authz_version + 1, updated_at = $3
         WHERE id = $1 AND kind = 'person' AND status = 'active'",
        owner.0,
        erase_at,
        now
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Somebody takes an account back: every device is a stranger again, and one that was closed is open again, unless administrators
/// disabled it meanwhile. `false`: there is no such account.
///
/// # Errors
/// When the database is away.
pub async fn take_back(connection: &mut PgConnection, owner: AccountId, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE users SET devices_known_since = $2, erase_at = NULL, disabled_while_closing = false,
             status = CASE WHEN status = 'closing' THEN CASE WHEN disabled_while_closing THEN 'disabled' ELSE 'active' END ELSE status END,
             authz_version = authz_version + (status = 'closing')::int
         WHERE id = $1 AND kind = 'person'",
        owner.0,
        now
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The next account, by id, whose time has come; locked until the end of the transaction, and passed over where another node has it.
///
/// # Errors
/// When the database is away.
pub async fn next_to_erase(connection: &mut PgConnection, now: OffsetDateTime, after: Uuid) -> Result<Option<(AccountId, String)>, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT id AS "id: AccountId", email AS "email!" FROM users WHERE kind = 'person' AND erase_at <= $1 AND id > $2
           ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"#,
        now,
        after
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| (row.id, row.email)))
}

/// Deletes a person's account with everything that belongs to it.
///
/// # Errors
/// When the database is away.
pub async fn erase(connection: &mut PgConnection, id: AccountId, email: &str) -> Result<(), sqlx::Error> {
    // letters' proofs that were never about an account: registrations, decoys
    sqlx::query!("DELETE FROM mailed_proofs WHERE email = $1", email).execute(&mut *connection).await?;
    sqlx::query!("DELETE FROM users WHERE id = $1 AND kind = 'person'", id.0).execute(connection).await.map(drop)
}
