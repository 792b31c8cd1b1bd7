//! The SQL of the chain. Reading asks for batches by an index each; nothing here holds the whole log in memory.

use crate::audit::chain::{Backlog, Head};
use sqlx::{Connection, PgConnection, Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

/// What a link hashes of an event, exactly as the database has it.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub id: Uuid,
    /// Microseconds since 1970.
    pub at: i64,
    pub event: String,
    pub outcome: String,
    pub actor: Option<Uuid>,
    pub subject: Option<Uuid>,
    pub request: Option<Uuid>,
    /// As Postgres writes its `jsonb`: always the same text for the same value.
    pub detail: String,
    pub sealed: Vec<u8>,
    pub key_version: Option<i32>,
}

/// One link of the chain.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub seq: i64,
    pub event_id: Uuid,
    pub hash: Vec<u8>,
}

/// A signed head, or a checkpoint.
#[derive(Debug, Clone)]
pub(super) struct Signed {
    pub seq: i64,
    /// The head before; `None`: this is a checkpoint.
    pub after: Option<i64>,
    pub hash: Vec<u8>,
    pub at: OffsetDateTime,
    pub key_version: i32,
    pub signature: Vec<u8>,
}

impl Signed {
    pub fn is_checkpoint(&self) -> bool {
        self.after.is_none()
    }
}

/// An event that is not chained.
pub(super) struct Loose {
    pub id: Uuid,
    /// `None`: it is not there.
    pub at: Option<i64>,
    pub is_chained: bool,
}

/// From what `timestamptz_send` gives: microseconds since 2000, the infinite ones at both ends. No value that somebody writes there keeps
/// the rest from being read.
fn unix_micros(sent: &[u8]) -> i64 {
    const YEAR_2000: i64 = 946_684_800_000_000;
    i64::from_be_bytes(sent.try_into().unwrap_or_default()).saturating_add(YEAR_2000)
}

/// One view of everything for as long as the transaction lasts, however long that is.
///
/// # Errors
/// When the database is away.
pub async fn still(connection: &mut PgConnection) -> Result<Transaction<'_, Postgres>, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
    sqlx::query!(
        "SELECT set_config('statement_timeout', '0', true) AS statements, set_config('idle_in_transaction_session_timeout', '0', true) AS pauses"
    )
    .fetch_one(&mut *transaction)
    .await?;
    Ok(transaction)
}

/// Chainers take turns; to the end of the transaction.
pub(super) async fn lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!(r#"SELECT pg_advisory_xact_lock(hashtextextended('audit_chain', 0)) IS NULL AS "locked""#).fetch_one(connection).await.map(drop)
}

pub(super) async fn backlog(connection: &mut PgConnection) -> Result<Backlog, sqlx::Error> {
    sqlx::query_as!(Backlog, r#"SELECT count(*) AS "waiting!", min(at) AS oldest FROM audit_unchained"#).fetch_one(connection).await
}

/// `beyond`: `None` is before every id, the nil one too.
pub(super) async fn waiting(connection: &mut PgConnection, beyond: Option<Uuid>, limit: i64) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!("SELECT event_id FROM audit_unchained WHERE $1::uuid IS NULL OR event_id > $1 ORDER BY event_id LIMIT $2", beyond, limit)
        .fetch_all(connection)
        .await
}

/// Those of these events that are there and not chained, by their ids.
pub(super) async fn events(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Written>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT id, timestamptz_send(at) AS "at!", event, outcome, actor, subject, request, detail::text AS "detail!", sealed, key_version
           FROM audit_events e WHERE id = ANY($1) AND NOT EXISTS (SELECT FROM audit_chain c WHERE c.event_id = e.id) ORDER BY id"#,
        ids
    );
    let rows = rows.fetch_all(connection).await?.into_iter().map(|row| Written {
        id: row.id,
        at: unix_micros(&row.at),
        event: row.event,
        outcome: row.outcome,
        actor: row.actor,
        subject: row.subject,
        request: row.request,
        detail: row.detail,
        sealed: row.sealed,
        key_version: row.key_version,
    });
    Ok(rows.collect())
}

/// Appends links and takes their events out of the queue.
pub(super) async fn append(connection: &mut PgConnection, links: &[Link]) -> Result<(), sqlx::Error> {
    let seqs: Vec<i64> = links.iter().map(|link| link.seq).collect();
    let ids: Vec<Uuid> = links.iter().map(|link| link.event_id).collect();
    let hashes: Vec<Vec<u8>> = links.iter().map(|link| link.hash.clone()).collect();
    sqlx::query!("INSERT INTO audit_chain (seq, event_id, hash) SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bytea[])", &seqs, &ids, &hashes)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM audit_unchained WHERE event_id = ANY($1)", &ids).execute(connection).await.map(drop)
}

pub(super) async fn insert_head(
    connection: &mut PgConnection,
    after: i64,
    head: &Head,
    at: OffsetDateTime,
    key_version: i32,
    signature: &[u8],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO audit_heads (seq, after, hash, at, key_version, signature) VALUES ($1, $2, $3, $4, $5, $6)",
        head.seq,
        after,
        &head.hash,
        at,
        key_version,
        signature
    )
    .execute(connection)
    .await
    .map(drop)
}

pub(super) async fn insert_checkpoint(
    connection: &mut PgConnection,
    head: &Head,
    at: OffsetDateTime,
    key_version: i32,
    signature: &[u8],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO audit_checkpoints (seq, hash, at, key_version, signature) VALUES ($1, $2, $3, $4, $5)",
        head.seq,
        &head.hash,
        at,
        key_version,
        signature
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Removes the chain up to there, with its events. Gives how many events that were.
pub(super) async fn delete_through(connection: &mut PgConnection, seq: i64) -> Result<u64, sqlx::Error> {
    let events = sqlx::query!("DELETE FROM audit_events e USING audit_chain c WHERE c.event_id = e.id AND c.seq <= $1", seq);
    let gone = events.execute(&mut *connection).await?.rows_affected();
    sqlx::query!("DELETE FROM audit_chain WHERE seq <= $1", seq).execute(&mut *connection).await?;
    sqlx::query!("DELETE FROM audit_heads WHERE seq <= $1", seq).execute(connection).await?;
    Ok(gone)
}

pub(super) async fn last_link(connection: &mut PgConnection) -> Result<Option<Link>, sqlx::Error> {
    sqlx::query_as!(Link, "SELECT seq, event_id, hash FROM audit_chain ORDER BY seq DESC LIMIT 1").fetch_optional(connection).await
}

/// Whether the chain has exactly this at its place.
pub(super) async fn has_link(connection: &mut PgConnection, head: &Head) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM audit_chain WHERE seq = $1 AND hash = $2) AS "is!""#, head.seq, &head.hash)
        .fetch_one(connection)
        .await
}

/// The newest head; where there is none any more, the newest checkpoint.
pub(super) async fn last_signed(connection: &mut PgConnection) -> Result<Option<Signed>, sqlx::Error> {
    let head =
        sqlx::query_as!(Signed, r#"SELECT seq, after AS "after?", hash, at, key_version, signature FROM audit_heads ORDER BY seq DESC LIMIT 1"#);
    match head.fetch_optional(&mut *connection).await? {
        Some(head) => Ok(Some(head)),
        None => Ok(checkpoints(connection).await?.pop()),
    }
}

/// The newest head that was signed before.
pub(super) async fn last_signed_before(connection: &mut PgConnection, before: OffsetDateTime) -> Result<Option<Signed>, sqlx::Error> {
    sqlx::query_as!(
        Signed,
        r#"SELECT seq, after AS "after?", hash, at, key_version, signature FROM audit_heads WHERE at < $1 ORDER BY seq DESC LIMIT 1"#,
        before
    )
    .fetch_optional(connection)
    .await
}

/// All of them, the oldest first: one for each time that somebody removed what was old.
pub(super) async fn checkpoints(connection: &mut PgConnection) -> Result<Vec<Signed>, sqlx::Error> {
    sqlx::query_as!(Signed, r#"SELECT seq, NULL::bigint AS "after?", hash, at, key_version, signature FROM audit_checkpoints ORDER BY seq"#)
        .fetch_all(connection)
        .await
}

pub(super) async fn heads(connection: &mut PgConnection, beyond: i64, through: i64, limit: i64) -> Result<Vec<Signed>, sqlx::Error> {
    sqlx::query_as!(
        Signed,
        r#"SELECT seq, after AS "after?", hash, at, key_version, signature FROM audit_heads WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3"#,
        beyond,
        through,
        limit
    )
    .fetch_all(connection)
    .await
}

/// Links beyond a place, each with its event; `None`: that is not there.
pub(super) async fn links(connection: &mut PgConnection, beyond: i64, through: i64, limit: i64) -> Result<Vec<(Link, Option<Written>)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT c.seq, c.event_id, c.hash, e.id AS "id?", timestamptz_send(e.at) AS at, e.event AS "event?", e.outcome AS "outcome?",
                  e.actor, e.subject, e.request, e.detail::text AS detail, e.sealed AS "sealed?", e.key_version
           FROM (SELECT * FROM audit_chain WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3) c
           LEFT JOIN audit_events e ON e.id = c.event_id ORDER BY c.seq"#,
        beyond,
        through,
        limit
    );
    let rows = rows.fetch_all(connection).await?.into_iter().map(|row| {
        let written = row.id.map(|id| Written {
            id,
            at: unix_micros(&row.at.unwrap_or_default()),
            event: row.event.unwrap_or_default(),
            outcome: row.outcome.unwrap_or_default(),
            actor: row.actor,
            subject: row.subject,
            request: row.request,
            detail: row.detail.unwrap_or_default(),
            sealed: row.sealed.unwrap_or_default(),
            key_version: row.key_version,
        });
        (Link { seq: row.seq, event_id: row.event_id, hash: row.hash }, written)
    });
    Ok(rows.collect())
}

/// Links where the chain does not reach: up to its beginning.
pub(super) async fn links_before(connection: &mut PgConnection, beyond: Option<i64>, through: i64, limit: i64) -> Result<Vec<Link>, sqlx::Error> {
    sqlx::query_as!(
        Link,
        "SELECT seq, event_id, hash FROM audit_chain WHERE ($1::bigint IS NULL OR seq > $1) AND seq <= $2 ORDER BY seq LIMIT $3",
        beyond,
        through,
        limit
    )
    .fetch_all(connection)
    .await
}

/// Places of heads where the chain does not reach: up to its beginning.
pub(super) async fn heads_before(connection: &mut PgConnection, through: i64, limit: i64) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!("SELECT seq FROM audit_heads WHERE seq <= $1 ORDER BY seq LIMIT $2", through, limit).fetch_all(connection).await
}

/// How many links and events there are, however they are reached.
pub(super) async fn counts(connection: &mut PgConnection) -> Result<(i64, i64), sqlx::Error> {
    let row = sqlx::query!(r#"SELECT (SELECT count(*) FROM audit_chain) AS "links!", (SELECT count(*) FROM audit_events) AS "events!""#);
    row.fetch_one(connection).await.map(|row| (row.links, row.events))
}

/// Events that are neither chained nor in the queue.
pub(super) async fn strays(connection: &mut PgConnection, beyond: Option<Uuid>, limit: i64) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT id FROM audit_events e WHERE ($1::uuid IS NULL OR id > $1) AND NOT EXISTS (SELECT FROM audit_chain c WHERE c.event_id = e.id)
           AND NOT EXISTS (SELECT FROM audit_unchained u WHERE u.event_id = e.id) ORDER BY id LIMIT $2",
        beyond,
        limit
    )
    .fetch_all(connection)
    .await
}

/// What is in the queue.
pub(super) async fn queued(connection: &mut PgConnection, beyond: Option<Uuid>, limit: i64) -> Result<Vec<Loose>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT u.event_id, timestamptz_send(e.at) AS at, EXISTS (SELECT FROM audit_chain c WHERE c.event_id = u.event_id) AS "is_chained!"
           FROM (SELECT * FROM audit_unchained WHERE $1::uuid IS NULL OR event_id > $1 ORDER BY event_id LIMIT $2) u
           LEFT JOIN audit_events e ON e.id = u.event_id ORDER BY u.event_id"#,
        beyond,
        limit
    );
    let rows = rows.fetch_all(connection).await?;
    Ok(rows.into_iter().map(|row| Loose { id: row.event_id, at: row.at.as_deref().map(unix_micros), is_chained: row.is_chained }).collect())
}

/// Versions of the keys that signed what is here.
///
/// # Errors
/// When the database is away.
pub async fn key_versions(connection: &mut PgConnection) -> Result<Vec<i32>, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT key_version AS "version!" FROM audit_heads UNION SELECT key_version FROM audit_checkpoints ORDER BY 1"#)
        .fetch_all(connection)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::chain::form::micros;

    #[test]
    fn times_are_counted_alike_on_both_sides() {
        let at = time::macros::datetime!(2026-11-29 21:30:00.123456 UTC);
        let sent = (micros(at) - 946_684_800_000_000).to_be_bytes();
        assert_eq!(unix_micros(&sent), micros(at));
        assert_eq!(unix_micros(&i64::MAX.to_be_bytes()), i64::MAX, "infinity");
    }
}
