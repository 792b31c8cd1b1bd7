//! The SQL of what letters prove.

use crate::accounts::{
    AccountId, Email,
    proof::{Claim, Issued, Purpose},
};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

pub(super) async fn insert_proof(
    connection: &mut PgConnection,
    issued: &Issued,
    claim: Claim<'_>,
    code: Option<([u8; 32], i32)>,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let (code_digest, code_key_version) = code.unzip();
    sqlx::query!(
        "INSERT INTO mailed_proofs (id, purpose, email, user_id, session_id, link_digest, code_digest, code_key_version, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        issued.id,
        claim.purpose.name(),
        claim.email.as_str(),
        claim.account.map(|account| account.0),
        claim.session,
        &issued.link.digest(),
        code_digest.as_ref().map(|digest| digest.as_slice()),
        code_key_version,
        now,
        now + claim.lifetime
    )
    .execute(connection)
    .await
    .map(drop)
}

pub(super) struct ProofRow {
    pub id: Uuid,
    pub purpose: String,
    pub email: String,
    pub account: Option<AccountId>,
    pub session: Option<Uuid>,
    pub issued_at: OffsetDateTime,
}

pub(super) async fn proof_by_link(connection: &mut PgConnection, digest: &[u8], now: OffsetDateTime) -> Result<Option<ProofRow>, sqlx::Error> {
    sqlx::query_as!(
        ProofRow,
        r#"SELECT id, purpose, email, user_id AS "account: AccountId", session_id AS session, created_at AS issued_at FROM mailed_proofs
           WHERE link_digest = $1 AND used_at IS NULL AND expires_at > $2"#,
        digest,
        now
    )
    .fetch_optional(connection)
    .await
}

/// The proof, its code's digest and the version of the key in it.
pub(super) async fn count_code_try(
    connection: &mut PgConnection,
    id: Uuid,
    max_tries: i16,
    now: OffsetDateTime,
) -> Result<Option<(ProofRow, Vec<u8>, i32)>, sqlx::Error> {
    let row = sqlx::query!(
        r#"UPDATE mailed_proofs SET tries = tries + 1
           WHERE id = $1 AND tries < $2 AND code_digest IS NOT NULL AND used_at IS NULL AND expires_at > $3
           RETURNING purpose, email, user_id AS "account: AccountId", session_id, created_at, code_digest AS "code_digest!", code_key_version AS "version!""#,
        id,
        max_tries,
        now
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| {
        let proof = ProofRow { id, purpose: row.purpose, email: row.email, account: row.account, session: row.session_id, issued_at: row.created_at };
        (proof, row.code_digest, row.version)
    }))
}

pub(super) async fn return_code_try(connection: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE mailed_proofs SET tries = tries - 1 WHERE id = $1 AND tries > 0", id).execute(connection).await.map(drop)
}

pub(super) async fn spend_proof(connection: &mut PgConnection, id: Uuid, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("UPDATE mailed_proofs SET used_at = $2 WHERE id = $1 AND used_at IS NULL AND expires_at > $2", id, now)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Spends every registration and invitation of a mailbox: it has an account now.
///
/// # Errors
/// When the database is away.
pub async fn end_registrations(connection: &mut PgConnection, email: &Email, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE mailed_proofs SET used_at = $2 WHERE email = $1 AND purpose IN ('registration', 'invitation') AND used_at IS NULL",
        email.as_str(),
        now
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Spends an account's proofs of these purposes.
///
/// # Errors
/// When the database is away.
pub async fn end_proofs(connection: &mut PgConnection, account: AccountId, purposes: &[Purpose], now: OffsetDateTime) -> Result<(), sqlx::Error> {
    let purposes: Vec<String> = purposes.iter().map(|purpose| purpose.name().to_owned()).collect();
    sqlx::query!("UPDATE mailed_proofs SET used_at = $3 WHERE user_id = $1 AND purpose = ANY($2) AND used_at IS NULL", account.0, &purposes, now)
        .execute(connection)
        .await
        .map(drop)
}

/// Makes an account's live proofs of this purpose last at least until `end`.
///
/// # Errors
/// When the database is away.
pub async fn extend(
    connection: &mut PgConnection,
    account: AccountId,
    purpose: Purpose,
    end: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE mailed_proofs SET expires_at = greatest(expires_at, $3)
         WHERE user_id = $1 AND purpose = $2 AND used_at IS NULL AND expires_at > $4",
        account.0,
        purpose.name(),
        end,
        now
    )
    .execute(connection)
    .await
    .map(drop)
}

/// The account is back at an address from which a change could be taken back: that link and all later ones have done their work.
/// `true`: there was such a link.
///
/// # Errors
/// When the database is away.
pub async fn end_undos_since(connection: &mut PgConnection, account: AccountId, email: &Email, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE mailed_proofs SET used_at = $3 WHERE user_id = $1 AND purpose = 'email_undo' AND used_at IS NULL
           AND id >= (SELECT min(id::text)::uuid FROM mailed_proofs
                      WHERE user_id = $1 AND purpose = 'email_undo' AND used_at IS NULL AND expires_at > $3 AND email = $2)",
        account.0,
        email.as_str(),
        now
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The oldest address that can still take the account back, if it was changed lately.
///
/// # Errors
/// When the database is away.
pub async fn address_before(connection: &mut PgConnection, account: AccountId, now: OffsetDateTime) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT email FROM mailed_proofs WHERE user_id = $1 AND purpose = 'email_undo' AND used_at IS NULL AND expires_at > $2 ORDER BY id LIMIT 1",
        account.0,
        now
    )
    .fetch_optional(connection)
    .await
}

/// Waits for its turn with this mailbox, until the end of the transaction. Whoever locks proofs and an account locks the mailbox first.
///
/// # Errors
/// When the database is away.
pub async fn lock_mailbox(connection: &mut PgConnection, email: &Email) -> Result<(), sqlx::Error> {
    sqlx::query!(r#"SELECT pg_advisory_xact_lock(hashtextextended('mailbox ' || $1, 0)) IS NULL AS "locked""#, email.as_str())
        .fetch_one(connection)
        .await
        .map(drop)
}

/// Forgets proofs that ran out before `before`, at most `batch`. Returns how many.
///
/// # Errors
/// When the database is away.
pub async fn purge(connection: &mut PgConnection, before: OffsetDateTime, batch: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM mailed_proofs WHERE id IN (SELECT id FROM mailed_proofs WHERE expires_at < $1 LIMIT $2)", before, batch)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}
