//! The SQL of the audit log.

use crate::audit::{Entry, Filter};
use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

pub(super) async fn insert(
    connection: &mut PgConnection,
    id: Uuid,
    now: OffsetDateTime,
    (entry, detail): (&Entry<'_>, &Value),
    (key_version, sealed): (Option<i32>, &[u8]),
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO audit_events (id, at, event, outcome, actor, subject, request, detail, sealed, key_version)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        id,
        now,
        entry.event.name(),
        if entry.is_refused { "refused" } else { "success" },
        entry.actor,
        entry.subject,
        entry.origin.request,
        detail,
        sealed,
        key_version
    )
    .execute(connection)
    .await
    // a trigger that keeps it out must not let the deed through
    .and_then(|done| if done.rows_affected() == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) })
}

pub(super) struct Row {
    pub id: Uuid,
    pub at: OffsetDateTime,
    pub event: String,
    pub outcome: String,
    pub actor: Option<Uuid>,
    pub subject: Option<Uuid>,
    pub request: Option<Uuid>,
    pub detail: Value,
    pub sealed: Vec<u8>,
    pub key_version: Option<i32>,
}

pub(super) async fn list(connection: &mut PgConnection, filter: &Filter, limit: i64) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT id, at, event, outcome, actor, subject, request, detail, sealed, key_version FROM audit_events
         WHERE ($1::uuid IS NULL OR subject = $1) AND ($2::uuid IS NULL OR actor = $2) AND ($3::text IS NULL OR event = $3)
           AND ($4::text IS NULL OR outcome = $4) AND ($5::timestamptz IS NULL OR at >= $5) AND ($6::timestamptz IS NULL OR at < $6)
           AND ($7::uuid IS NULL OR id < $7) AND ($8::uuid IS NULL OR subject IS DISTINCT FROM $8)
         ORDER BY id DESC LIMIT $9",
        filter.subject,
        filter.actor,
        filter.event,
        filter.outcome,
        filter.from,
        filter.until,
        filter.before,
        filter.not_subject,
        limit
    )
    .fetch_all(connection)
    .await
}

pub(super) async fn by_id(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT id, at, event, outcome, actor, subject, request, detail, sealed, key_version FROM audit_events WHERE id = ANY ($1) ORDER BY at, id",
        ids
    )
    .fetch_all(connection)
    .await
}

pub(super) async fn keys(connection: &mut PgConnection, subjects: &[Uuid]) -> Result<Vec<(Uuid, i32, Vec<u8>)>, sqlx::Error> {
    let rows = sqlx::query!("SELECT subject, key_version, sealed FROM subject_keys WHERE subject = ANY($1)", subjects).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|row| (row.subject, row.key_version, row.sealed)).collect())
}

pub(super) async fn insert_key(
    connection: &mut PgConnection,
    subject: Uuid,
    version: i32,
    sealed: &[u8],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        // in place of one that nobody can open any more
        "INSERT INTO subject_keys (subject, sealed, key_version, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (subject) DO UPDATE SET sealed = $2, key_version = $3
         WHERE subject_keys.key_version IN (SELECT version FROM keyring WHERE purpose = 'subject' AND state = 'revoked')",
        subject,
        sealed,
        version,
        now
    )
    .execute(connection)
    .await
    .map(drop)
}

pub(super) async fn delete_key(connection: &mut PgConnection, subject: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM subject_keys WHERE subject = $1", subject).execute(connection).await.map(drop)
}
