//! The SQL of alerts.

use crate::audit::alerts::{
    Pattern,
    signals::{Kind, Signal},
};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

/// Networks from which a failure of many accounts is no longer one network's.
const SPRAYING_NETWORKS: i64 = 5;
/// Alerts of one pattern in one round; the others follow in the next.
const BATCH: i64 = 20;

pub(super) async fn add(pool: &PgPool, marks: &[(OffsetDateTime, Signal, i32)]) -> Result<(), sqlx::Error> {
    let kinds: Vec<String> = marks.iter().map(|(_, signal, _)| signal.kind.name().to_owned()).collect();
    let minutes: Vec<OffsetDateTime> = marks.iter().map(|(minute, ..)| *minute).collect();
    let sources: Vec<Vec<u8>> = marks.iter().map(|(_, signal, _)| signal.source.to_vec()).collect();
    let targets: Vec<Vec<u8>> = marks.iter().map(|(_, signal, _)| signal.target.to_vec()).collect();
    let accounts: Vec<Option<Uuid>> = marks.iter().map(|(_, signal, _)| signal.account).collect();
    let requests: Vec<Option<Uuid>> = marks.iter().map(|(_, signal, _)| signal.request).collect();
    let hits: Vec<i32> = marks.iter().map(|(.., hits)| *hits).collect();
    // rows are locked in one order, so that two nodes cannot wait for each other
    sqlx::query!(
        "INSERT INTO alert_signals AS s (kind, minute, source, target, account, request, hits)
         SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::bytea[], $4::bytea[], $5::uuid[], $6::uuid[], $7::integer[])
             n (kind, minute, source, target, account, request, hits) ORDER BY n.kind, n.minute, n.source, n.target
         ON CONFLICT (kind, minute, source, target) DO UPDATE SET
             hits = least(s.hits, 1000000) + excluded.hits, account = coalesce(excluded.account, s.account), request = excluded.request",
        &kinds,
        &minutes,
        &sources,
        &targets,
        &accounts as &[Option<Uuid>],
        &requests as &[Option<Uuid>],
        &hits
    )
    .execute(pool)
    .await
    .map(drop)
}

/// Something suspicious, of which there was no alert lately.
pub struct Found {
    /// Whom or what the alert is about: a digest.
    pub subject: Vec<u8>,
    /// The account that it is about, if it is about one.
    pub account: Option<Uuid>,
    /// One of the requests.
    pub request: Option<Uuid>,
    /// How many.
    pub count: i64,
}

/// What there is of a pattern since then.
///
/// # Errors
/// When the database is away.
pub async fn find(
    connection: &mut PgConnection,
    pattern: Pattern,
    number: u32,
    since: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<Vec<Found>, sqlx::Error> {
    let (name, number) = (pattern.name(), i64::from(number));
    match pattern {
        Pattern::CredentialStuffing => by_source(connection, name, Kind::SignInRefused, number, since, now).await,
        Pattern::AddressSpread => by_target(connection, name, (Kind::SignInRefused, Of::Sources), number, since, now).await,
        Pattern::PermissionProbing => by_target(connection, name, (Kind::PermissionDenied, Of::Sources), number, since, now).await,
        Pattern::RefreshTheft => by_target(connection, name, (Kind::RefreshReplayed, Of::Hits), number, since, now).await,
        Pattern::PasswordSpraying => everywhere(connection, name, number, since, now).await,
    }
}

/// Sources with many targets.
async fn by_source(
    connection: &mut PgConnection,
    pattern: &str,
    kind: Kind,
    number: i64,
    since: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<Vec<Found>, sqlx::Error> {
    sqlx::query_as!(
        Found,
        r#"SELECT s.source AS subject, NULL::uuid AS account, (array_agg(s.request ORDER BY s.minute DESC))[1] AS request,
                  count(DISTINCT s.target) AS "count!"
           FROM alert_signals s WHERE s.kind = $1 AND s.minute >= $2
             AND NOT EXISTS (SELECT FROM alerts a WHERE a.pattern = $3 AND a.subject = s.source AND a.ends_at > $4)
           GROUP BY s.source HAVING count(DISTINCT s.target) >= $5 LIMIT $6"#,
        kind.name(),
        since,
        pattern,
        now,
        number,
        BATCH
    )
    .fetch_all(connection)
    .await
}

/// What is counted of a target.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// Different sources.
    Sources,
    /// Every time, from wherever.
    Hits,
}

/// Targets with many of something.
async fn by_target(
    connection: &mut PgConnection,
    pattern: &str,
    (kind, of): (Kind, Of),
    number: i64,
    since: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<Vec<Found>, sqlx::Error> {
    sqlx::query_as!(
        Found,
        r#"SELECT s.target AS subject, (array_agg(s.account))[1] AS account, (array_agg(s.request ORDER BY s.minute DESC))[1] AS request,
                  CASE WHEN $7 THEN sum(s.hits) ELSE count(DISTINCT s.source) END AS "count!"
           FROM alert_signals s WHERE s.kind = $1 AND s.minute >= $2
             AND NOT EXISTS (SELECT FROM alerts a WHERE a.pattern = $3 AND a.subject = s.target AND a.ends_at > $4)
           GROUP BY s.target HAVING CASE WHEN $7 THEN sum(s.hits) ELSE count(DISTINCT s.source) END >= $5 LIMIT $6"#,
        kind.name(),
        since,
        pattern,
        now,
        number,
        BATCH,
        of == Of::Hits
    )
    .fetch_all(connection)
    .await
}

/// The service as a whole: its subject is nobody's digest. Accounts are compared, not attempts: somebody who signs in to their own again
/// and again hides nothing.
async fn everywhere(
    connection: &mut PgConnection,
    pattern: &str,
    number: i64,
    since: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<Vec<Found>, sqlx::Error> {
    sqlx::query_as!(
        Found,
        r#"SELECT decode(repeat('00', 32), 'hex') AS "subject!", NULL::uuid AS account,
                  (array_agg(s.request ORDER BY s.minute DESC))[1] AS request, count(DISTINCT s.target) AS "count!"
           FROM alert_signals s WHERE s.kind = $1 AND s.minute >= $2
             AND NOT EXISTS (SELECT FROM alerts a WHERE a.pattern = $3 AND a.ends_at > $4)
           HAVING count(DISTINCT s.target) >= $5 AND count(DISTINCT s.source) >= $6
              AND count(DISTINCT s.target) > (SELECT count(DISTINCT o.target) FROM alert_signals o WHERE o.kind = $7 AND o.minute >= $2)"#,
        Kind::SignInRefused.name(),
        since,
        pattern,
        now,
        number,
        SPRAYING_NETWORKS,
        Kind::SignedIn.name()
    )
    .fetch_all(connection)
    .await
}

/// Remembers an alert until its end. Returns whether it is news: of two at once, one is.
///
/// # Errors
/// When the database is away.
pub async fn raise(
    connection: &mut PgConnection,
    pattern: Pattern,
    subject: &[u8],
    ends_at: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let raised = sqlx::query!(
        "INSERT INTO alerts AS a (pattern, subject, ends_at) VALUES ($1, $2, $3)
         ON CONFLICT (pattern, subject) DO UPDATE SET ends_at = excluded.ends_at WHERE a.ends_at <= $4",
        pattern.name(),
        subject,
        ends_at,
        now
    )
    .execute(connection)
    .await?;
    Ok(raised.rows_affected() == 1)
}

/// Forgets marks from before `before`, at most `batch`. Returns how many.
///
/// # Errors
/// When the database is away.
pub async fn purge(connection: &mut PgConnection, before: OffsetDateTime, batch: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM alert_signals WHERE (kind, minute, source, target) IN
             (SELECT kind, minute, source, target FROM alert_signals WHERE minute < $1 LIMIT $2)",
        before,
        batch
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Forgets alerts that have ended, at most `batch`. Returns how many.
///
/// # Errors
/// When the database is away.
pub async fn purge_ended(connection: &mut PgConnection, now: OffsetDateTime, batch: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM alerts WHERE (pattern, subject) IN (SELECT pattern, subject FROM alerts WHERE ends_at <= $1 LIMIT $2) AND ends_at <= $1",
        now,
        batch
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
