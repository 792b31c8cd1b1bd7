//! The SQL of second factors.

use crate::credentials::second_factor::Factors;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// What an account has.
///
/// # Errors
/// When the database is away.
pub async fn factors(connection: &mut PgConnection, account: Uuid) -> Result<Factors, sqlx::Error> {
    sqlx::query_as!(
        Factors,
        r#"SELECT EXISTS (SELECT FROM totp WHERE user_id = $1 AND confirmed_at IS NOT NULL) AS "totp!",
                  (SELECT count(*) FROM passkeys WHERE user_id = $1) AS "passkeys!",
                  (SELECT count(*) FROM recovery_codes WHERE user_id = $1 AND used_at IS NULL) AS "recovery_codes!""#,
        account
    )
    .fetch_one(connection)
    .await
}

/// Stores a seed that is not confirmed yet, in place of another such. `false`: there is a confirmed one.
pub(super) async fn insert_totp(
    connection: &mut PgConnection,
    account: Uuid,
    (version, sealed): (i32, Vec<u8>),
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "INSERT INTO totp (user_id, seed_sealed, seed_key_version, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (user_id) DO UPDATE SET seed_sealed = $2, seed_key_version = $3, created_at = $4, last_step = 0
         WHERE totp.confirmed_at IS NULL",
        account,
        sealed,
        version,
        now
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn confirmed_seed(connection: &mut PgConnection, account: Uuid) -> Result<Option<(i32, Vec<u8>)>, sqlx::Error> {
    let row = sqlx::query!("SELECT seed_key_version, seed_sealed FROM totp WHERE user_id = $1 AND confirmed_at IS NOT NULL", account)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| (row.seed_key_version, row.seed_sealed)))
}

pub(super) async fn waiting_seed(connection: &mut PgConnection, account: Uuid, since: OffsetDateTime) -> Result<Option<(i32, Vec<u8>)>, sqlx::Error> {
    let row = sqlx::query!(
        "SELECT seed_key_version, seed_sealed FROM totp WHERE user_id = $1 AND confirmed_at IS NULL AND created_at > $2",
        account,
        since
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| (row.seed_key_version, row.seed_sealed)))
}

pub(super) async fn spend_step(connection: &mut PgConnection, account: Uuid, step: i64) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("UPDATE totp SET last_step = $2 WHERE user_id = $1 AND last_step < $2", account, step).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// The seed counts from now on. `false`: there is none that waits.
pub(super) async fn confirm_totp(connection: &mut PgConnection, account: Uuid, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done =
        sqlx::query!("UPDATE totp SET confirmed_at = $2 WHERE user_id = $1 AND confirmed_at IS NULL", account, now).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// Takes the authenticator app away. `false`: there is none.
///
/// # Errors
/// When the database is away.
pub async fn remove_totp(connection: &mut PgConnection, account: Uuid) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM totp WHERE user_id = $1 AND confirmed_at IS NOT NULL", account).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// When the authenticator app was confirmed.
///
/// # Errors
/// When the database is away.
pub async fn totp_since(connection: &mut PgConnection, account: Uuid) -> Result<Option<OffsetDateTime>, sqlx::Error> {
    let since = sqlx::query_scalar!("SELECT confirmed_at FROM totp WHERE user_id = $1", account).fetch_optional(connection).await?;
    Ok(since.flatten())
}

pub(super) async fn replace_codes(
    connection: &mut PgConnection,
    account: Uuid,
    digests: &[Vec<u8>],
    version: i32,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    remove_codes(&mut *connection, account).await?;
    sqlx::query!(
        "INSERT INTO recovery_codes (user_id, digest, key_version, created_at) SELECT $1, unnest($2::bytea[]), $3, $4",
        account,
        digests,
        version,
        now
    )
    .execute(connection)
    .await
    .map(drop)
}

pub(super) async fn code_key_versions(connection: &mut PgConnection, account: Uuid) -> Result<Vec<i32>, sqlx::Error> {
    sqlx::query_scalar!("SELECT DISTINCT key_version FROM recovery_codes WHERE user_id = $1 AND used_at IS NULL", account).fetch_all(connection).await
}

pub(super) async fn spend_code(connection: &mut PgConnection, account: Uuid, digests: &[Vec<u8>], now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done =
        sqlx::query!("UPDATE recovery_codes SET used_at = $3 WHERE user_id = $1 AND digest = ANY($2) AND used_at IS NULL", account, digests, now)
            .execute(connection)
            .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes all recovery codes away.
///
/// # Errors
/// When the database is away.
pub async fn remove_codes(connection: &mut PgConnection, account: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM recovery_codes WHERE user_id = $1", account).execute(connection).await.map(drop)
}

/// Whether one of the second factors that there are was set up before this time.
///
/// # Errors
/// When the database is away.
pub async fn is_any_older(connection: &mut PgConnection, account: Uuid, than: OffsetDateTime) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM totp WHERE user_id = $1 AND confirmed_at < $2)
                  OR EXISTS (SELECT FROM passkeys WHERE user_id = $1 AND created_at < $2) AS "is!""#,
        account,
        than
    )
    .fetch_one(connection)
    .await
}

/// Takes every second factor away that was set up since.
///
/// # Errors
/// When the database is away.
pub async fn remove_since(connection: &mut PgConnection, account: Uuid, since: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM totp WHERE user_id = $1 AND coalesce(confirmed_at, created_at) >= $2", account, since)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM passkeys WHERE user_id = $1 AND created_at >= $2", account, since).execute(&mut *connection).await?;
    sqlx::query!("DELETE FROM recovery_codes WHERE user_id = $1 AND created_at >= $2", account, since).execute(connection).await.map(drop)
}
