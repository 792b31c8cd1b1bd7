//! The SQL of deliveries: sharing events out, claiming, settling, and the log. Practice 3.sql-injection.

use crate::{
    platform::crypto,
    webhooks::delivery::{Attempt, Claimed, Made},
};
use sqlx::{Connection, PgConnection, Postgres, Transaction};
use std::collections::HashMap;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// A claimed message that was not settled within this time is up for grabs again: who had it has died. Longer than any attempt may take.
const LEASE: Duration = Duration::minutes(2);
/// Events that are shared out in one transaction.
const BATCH: i64 = 200;
/// Messages of one endpoint that are under way at once: one that is slow takes no more places than these.
const PER_ENDPOINT: i64 = 4;
/// Most messages that one call sends again.
pub const MOST_REPLAYED: i64 = 1000;
/// Attempts that are shown of one message, the newest.
const SHOWN_ATTEMPTS: i64 = 50;

/// The oldest events that wait, taken out of the queue. Empty also while another node is at it.
///
/// # Errors
/// When the database is away.
pub async fn take_queue(connection: &mut PgConnection) -> Result<Vec<Uuid>, sqlx::Error> {
    let is_ours = sqlx::query_scalar!(r#"SELECT pg_try_advisory_xact_lock(hashtextextended('webhook_fan_out', 0)) AS "ours!""#);
    if !is_ours.fetch_one(&mut *connection).await? {
        return Ok(Vec::new());
    }
    sqlx::query_scalar!(
        "DELETE FROM webhook_queue WHERE event_id IN (SELECT event_id FROM webhook_queue ORDER BY at, event_id LIMIT $1) RETURNING event_id",
        BATCH
    )
    .fetch_all(connection)
    .await
}

/// An endpoint that is told.
pub struct Listener {
    /// Its id.
    pub id: Uuid,
    /// What it wants; `None`: all that is published.
    pub events: Option<Vec<String>>,
    /// The number of its next message.
    pub next_sequence: i64,
}

/// All endpoints that are told, locked until the transaction ends: their numbers have no gaps.
///
/// # Errors
/// When the database is away.
pub async fn lock_listeners(connection: &mut PgConnection) -> Result<Vec<Listener>, sqlx::Error> {
    sqlx::query_as!(Listener, "SELECT id, events, next_sequence FROM webhook_endpoints WHERE disabled_at IS NULL ORDER BY id FOR NO KEY UPDATE")
        .fetch_all(connection)
        .await
}

/// The number of the next message to an endpoint that is locked.
///
/// # Errors
/// When the database is away, or there is no such endpoint.
pub async fn next_sequence(connection: &mut PgConnection, endpoint: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!("SELECT next_sequence FROM webhook_endpoints WHERE id = $1", endpoint).fetch_one(connection).await
}

/// Stores messages to a locked endpoint, of the numbers from its next one on. Gives the ids.
///
/// # Errors
/// When the database is away.
pub async fn insert(connection: &mut PgConnection, endpoint: Uuid, made: &[Made], now: OffsetDateTime) -> Result<Vec<Uuid>, sqlx::Error> {
    let Some(last) = made.last() else { return Ok(Vec::new()) };
    // in the order of their numbers
    let mut ids: Vec<Uuid> = made.iter().map(|_| crypto::uuid_v7(now)).collect();
    ids.sort_unstable();
    let sequences: Vec<i64> = made.iter().map(|made| made.sequence).collect();
    let events: Vec<String> = made.iter().map(|made| made.event.clone()).collect();
    let event_ids: Vec<Option<Uuid>> = made.iter().map(|made| made.event_id).collect();
    let payloads: Vec<String> = made.iter().map(|made| made.payload.clone()).collect();
    sqlx::query!(
        "INSERT INTO webhook_deliveries (id, endpoint_id, sequence, event, event_id, payload, created_at, due_at)
         SELECT id, $1, sequence, event, event_id, payload, $7, $7
         FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::uuid[], $6::text[]) AS made (id, sequence, event, event_id, payload)",
        endpoint,
        &ids,
        &sequences,
        &events,
        &event_ids as &[Option<Uuid>],
        &payloads,
        now
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("UPDATE webhook_endpoints SET next_sequence = $2 WHERE id = $1", endpoint, last.sequence + 1).execute(connection).await?;
    Ok(ids)
}

/// Claims at most `most` messages that are due, a few of each endpoint, for as long as an attempt may take. Nodes share them out. Whose
/// endpoint has fewest under way goes first, then what is due longest: a backlog of some takes no place that another one needs.
///
/// # Errors
/// When the database is away.
pub async fn claim(connection: &mut PgConnection, now: OffsetDateTime, most: i64) -> Result<Vec<Claimed>, sqlx::Error> {
    sqlx::query_as!(
        Claimed,
        "WITH ready AS MATERIALIZED (
             SELECT r.id, e.url FROM webhook_endpoints e CROSS JOIN LATERAL (
                 SELECT count(*) AS under_way FROM webhook_deliveries
                 WHERE endpoint_id = e.id AND state = 'waiting' AND leased_until > $1) b CROSS JOIN LATERAL (
                 SELECT id, due_at, sequence FROM webhook_deliveries
                 WHERE endpoint_id = e.id AND state = 'waiting' AND due_at <= $1 AND (leased_until IS NULL OR leased_until <= $1)
                 ORDER BY due_at, sequence
                 LIMIT greatest(0, $3 - b.under_way)
                 FOR UPDATE SKIP LOCKED) r
             WHERE e.disabled_at IS NULL
             ORDER BY b.under_way + row_number() OVER (PARTITION BY e.id ORDER BY r.due_at, r.sequence), r.due_at LIMIT $4)
         UPDATE webhook_deliveries d SET attempts = attempts + 1, tried = tried + 1, leased_until = $2 FROM ready WHERE d.id = ready.id
         RETURNING d.id, d.endpoint_id, ready.url, d.event, d.payload, d.attempts, d.tried",
        now,
        now + LEASE,
        PER_ENDPOINT,
        most
    )
    .fetch_all(connection)
    .await
}

/// Writes down how an attempt ended. `next`: when the message is due again; without it, it ends in this state. `false`: somebody else has it
/// meanwhile, because this one took too long, or it is gone.
///
/// # Errors
/// When the database is away.
pub async fn settle(
    connection: &mut PgConnection,
    message: &Claimed,
    attempt: &Attempt,
    (state, next): (&str, Option<OffsetDateTime>),
    at: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE webhook_deliveries SET state = $3, due_at = coalesce($4, due_at), leased_until = NULL
         WHERE id = $1 AND attempts = $2 AND state = 'waiting'",
        message.id,
        message.attempts,
        state,
        next
    )
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query!(
        "INSERT INTO webhook_attempts (delivery_id, number, at, milliseconds, outcome, status) VALUES ($1, $2, $3, $4, $5, $6)",
        message.id,
        message.attempts,
        at,
        i32::try_from(attempt.took.as_millis()).unwrap_or(i32::MAX),
        attempt.outcome.name(),
        attempt.status.and_then(|status| i16::try_from(status).ok())
    )
    .execute(connection)
    .await?;
    Ok(true)
}

/// A message in the log.
pub struct Logged {
    /// Its id.
    pub id: Uuid,
    /// Its place in what the endpoint is told.
    pub sequence: i64,
    /// What it tells.
    pub event: String,
    /// Of which event.
    pub event_id: Option<Uuid>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// `waiting`, `delivered` or `given_up`.
    pub state: String,
    /// When it is tried next.
    pub due_at: OffsetDateTime,
    /// Attempts in all.
    pub attempts: i32,
}

/// One attempt in the log.
pub struct LoggedAttempt {
    /// Which attempt, from 1.
    pub number: i32,
    /// When it ended.
    pub at: OffsetDateTime,
    /// How long it took.
    pub milliseconds: i32,
    /// How it ended.
    pub outcome: String,
    /// What was answered.
    pub status: Option<i16>,
}

/// One view of messages and their attempts: what is settled in between must not show by half.
///
/// # Errors
/// When the database is away.
pub async fn view(connection: &mut PgConnection) -> Result<Transaction<'_, Postgres>, sqlx::Error> {
    connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
}

/// Messages to an endpoint, the newest first, older than `before`.
///
/// # Errors
/// When the database is away.
pub async fn list(connection: &mut PgConnection, endpoint: Uuid, before: Option<Uuid>, limit: i64) -> Result<Vec<Logged>, sqlx::Error> {
    sqlx::query_as!(
        Logged,
        "SELECT id, sequence, event, event_id, created_at, state, due_at, attempts FROM webhook_deliveries
         WHERE endpoint_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
        endpoint,
        before,
        limit
    )
    .fetch_all(connection)
    .await
}

/// One message.
///
/// # Errors
/// When the database is away.
pub async fn find(connection: &mut PgConnection, id: Uuid) -> Result<Option<Logged>, sqlx::Error> {
    sqlx::query_as!(Logged, "SELECT id, sequence, event, event_id, created_at, state, due_at, attempts FROM webhook_deliveries WHERE id = $1", id)
        .fetch_optional(connection)
        .await
}

/// The newest attempts of each of these messages.
///
/// # Errors
/// When the database is away.
pub async fn attempts_of(connection: &mut PgConnection, ids: &[Uuid]) -> Result<HashMap<Uuid, Vec<LoggedAttempt>>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT d.id AS "id!", a.number AS "number!", a.at AS "at!", a.milliseconds AS "milliseconds!", a.outcome AS "outcome!", a.status
           FROM unnest($1::uuid[]) AS d (id) CROSS JOIN LATERAL
               (SELECT * FROM webhook_attempts WHERE delivery_id = d.id ORDER BY number DESC LIMIT $2) a
           ORDER BY a.number"#,
        ids,
        SHOWN_ATTEMPTS
    )
    .fetch_all(connection)
    .await?;
    let mut found: HashMap<Uuid, Vec<LoggedAttempt>> = HashMap::new();
    for row in rows {
        let attempt = LoggedAttempt { number: row.number, at: row.at, milliseconds: row.milliseconds, outcome: row.outcome, status: row.status };
        found.entry(row.id).or_default().push(attempt);
    }
    Ok(found)
}

/// One message, and whose it is.
///
/// # Errors
/// When the database is away.
pub async fn endpoint_of(connection: &mut PgConnection, id: Uuid) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar!("SELECT endpoint_id FROM webhook_deliveries WHERE id = $1", id).fetch_optional(connection).await
}

/// Makes a message due again as if it were new; one that waits goes out now. `false`: there is none.
///
/// # Errors
/// When the database is away.
pub async fn replay(connection: &mut PgConnection, id: Uuid, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let done =
        sqlx::query!("UPDATE webhook_deliveries SET state = 'waiting', tried = 0, due_at = $2 WHERE id = $1", id, now).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// The same for what an endpoint was told since then and does not wait, the oldest first, at most [`MOST_REPLAYED`]; only what was given up,
/// where that is enough. Gives how many, and the number of the last.
///
/// # Errors
/// When the database is away.
pub async fn replay_since(
    connection: &mut PgConnection,
    endpoint: Uuid,
    (since, only_given_up): (OffsetDateTime, bool),
    now: OffsetDateTime,
) -> Result<(i64, Option<i64>), sqlx::Error> {
    let row = sqlx::query!(
        r#"WITH again AS (
               UPDATE webhook_deliveries SET state = 'waiting', tried = 0, due_at = $4 WHERE id IN (
                   SELECT id FROM webhook_deliveries
                   WHERE endpoint_id = $1 AND created_at >= $2 AND state <> 'waiting' AND (NOT $3 OR state = 'given_up')
                   ORDER BY sequence LIMIT $5)
               RETURNING sequence)
           SELECT count(*) AS "count!", max(sequence) AS last FROM again"#,
        endpoint,
        since,
        only_given_up,
        now,
        MOST_REPLAYED
    )
    .fetch_one(connection)
    .await?;
    Ok((row.count, row.last))
}

/// What waits.
pub struct Backlog {
    /// Events to be shared out, and messages to endpoints that are told.
    pub waiting: i64,
    /// Since when the oldest that is due has been due.
    pub oldest: Option<OffsetDateTime>,
}

/// How much waits, and since when. What waits for its next attempt is not late.
///
/// # Errors
/// When the database is away.
pub async fn backlog(connection: &mut PgConnection, now: OffsetDateTime) -> Result<Backlog, sqlx::Error> {
    sqlx::query_as!(
        Backlog,
        r#"WITH messages AS (
               SELECT d.due_at FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id AND e.disabled_at IS NULL
               WHERE d.state = 'waiting')
           SELECT (SELECT count(*) FROM messages) + (SELECT count(*) FROM webhook_queue) AS "waiting!",
                  least((SELECT min(due_at) FROM messages WHERE due_at <= $1), (SELECT min(at) FROM webhook_queue)) AS "oldest""#,
        now
    )
    .fetch_one(connection)
    .await
}

/// Forgets messages that were made before this, at most `batch`; none that waits, which nobody would hear of. Returns how many.
///
/// # Errors
/// When the database is away.
pub async fn purge(connection: &mut PgConnection, before: OffsetDateTime, batch: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM webhook_deliveries WHERE id IN (
             SELECT id FROM webhook_deliveries WHERE created_at <= $1 AND state <> 'waiting' LIMIT $2)",
        before,
        batch
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
