//! The database: one pool, the run-time role, migrations, and the line between "the database is away" and "we made a mistake".
//!
//! Practices 9.least-privilege (the service cannot change its own schema), 9.per-environment (nor serve another's database) and 4.dos (every wait has an end).
//! Attacks: `tests/suite/attacks/s09_secrets/`.

use crate::platform::{
    clock::Clock,
    crypto::{self, Unsealable},
};
use anyhow::Context;
use secrecy::SecretString;
use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection, PgExecutor, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::time::Duration;
use time::OffsetDateTime;

/// The role that serves requests: no DDL. Migrations grant it, row by row, what it needs.
pub const RUNTIME_ROLE: &str = "portcullis_runtime";

/// How long a request waits for a connection before it is refused with 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long one statement may run.
const STATEMENT_TIMEOUT: &str = "5s";

/// How long a transaction may sit between two statements, so that a lost client holds no locks.
const IDLE_TRANSACTION_TIMEOUT: &str = "10s";

/// Every migration, compiled into the binary.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// Why the service cannot use a database.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The newest migration of this binary has not been applied.
    #[error("the schema is behind this binary (it needs migration {0}): run `portcullis migrate` first")]
    Behind(i64),
    /// The login may not act as the run-time role.
    #[error("this database login may not act as {RUNTIME_ROLE}: GRANT {RUNTIME_ROLE} TO the login of the service")]
    NotRuntime,
    /// Could not ask.
    #[error("the schema version cannot be read: {0}")]
    Database(#[from] sqlx::Error),
}

/// The database is another environment's.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// It was first used by this one.
    #[error("it belongs to {0}, which used it first: give each environment a database of its own (docs/secrets.md says what to do with a copy)")]
    Foreign(String),
    /// Could not ask.
    #[error("its environment cannot be read: {0}")]
    Database(#[from] sqlx::Error),
}

/// Something sealed could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or is away.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// It could not be sealed or opened.
    #[error(transparent)]
    Seal(#[from] Unsealable),
    /// It could not be written down or read.
    #[error(transparent)]
    Encode(#[from] serde_json::Error),
    /// Somebody changed what only we write.
    #[error("what is stored is not what was written: {0}")]
    Altered(&'static str),
    /// Our mistake.
    #[error("{0}")]
    Broken(&'static str),
}

/// Connections that act as [`RUNTIME_ROLE`], whoever logged in.
#[must_use]
pub fn as_runtime(options: PgConnectOptions) -> PgConnectOptions {
    options.application_name("portcullis").options([
        ("role", RUNTIME_ROLE),
        ("statement_timeout", STATEMENT_TIMEOUT),
        ("idle_in_transaction_session_timeout", IDLE_TRANSACTION_TIMEOUT),
    ])
}

/// A pool of such connections. Connects on first use.
#[must_use]
pub fn pool(options: PgConnectOptions, connections: u32) -> PgPool {
    let options = as_runtime(options);
    PgPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_TIMEOUT).connect_lazy_with(options)
}

/// Connects once, to say at the start why it cannot be done; a pool only says that it waited in vain.
///
/// # Errors
/// Why not.
pub async fn reach(options: &PgConnectOptions) -> Result<(), sqlx::Error> {
    PgConnection::connect_with(options).await?.close().await
}

/// Brings the schema up to date as its owner. Two at once: sqlx holds an advisory lock, so one waits for the other.
///
/// # Errors
/// When the database is away or a migration fails; a failed migration is rolled back.
pub async fn migrate(owner: &PgConnectOptions) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect_with(owner).await?;
    MIGRATIONS.run(&mut connection).await?;
    // a login of its own may serve too, where it has the right to grant this; `check_schema` says so where it has not
    let granted = connection.execute("GRANT portcullis_runtime TO CURRENT_USER").await;
    if let Err(error) = granted {
        tracing::debug!(%error, "the owner's login cannot act as the run-time role");
    }
    connection.close().await?;
    Ok(())
}

/// Refuses a schema that lacks a migration of this binary. A newer schema passes: migrations only add, so that the old binary
/// keeps serving while the new one rolls out.
///
/// # Errors
/// [`SchemaError::Behind`], or the database's error.
pub async fn check_schema(pool: &PgPool) -> Result<(), SchemaError> {
    let needed = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default();
    let applied = sqlx::query_scalar!(r#"SELECT max(version) AS "version" FROM _sqlx_migrations WHERE success"#).fetch_one(pool).await;
    match applied {
        Ok(Some(version)) if version >= needed => Ok(()),
        Ok(_) => Err(SchemaError::Behind(needed)),
        // the role exists and is not ours to take: told at the connection, as a wrong setting
        Err(sqlx::Error::Database(error)) if error.message().contains("permission denied to set role") => Err(SchemaError::NotRuntime),
        // undefined_table, insufficient_privilege (an empty database), invalid role: nothing was migrated here yet
        Err(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some("42P01" | "42501" | "22023")) => Err(SchemaError::Behind(needed)),
        Err(error) => Err(error.into()),
    }
}

/// Marks the database as this environment's, if nobody did yet.
///
/// # Errors
/// [`ForeignError`]; nothing is changed then.
pub async fn claim(pool: &PgPool, environment: &str, now: OffsetDateTime) -> Result<(), ForeignError> {
    // read first: a replica, which can be verified and exported from, takes no mark
    if environment_of(pool).await?.is_none() {
        let mark = sqlx::query!("INSERT INTO deployment (environment, marked_at) VALUES ($1, $2) ON CONFLICT DO NOTHING", environment, now);
        mark.execute(pool).await?;
    }
    belongs_to(pool, environment).await
}

/// Refuses to migrate a database that another environment used first. One without a mark, or without the table for it, passes.
///
/// # Errors
/// [`ForeignError`]; nothing is changed.
pub async fn refuse_foreign(owner: &PgConnectOptions, environment: &str) -> Result<(), ForeignError> {
    let mut connection = PgConnection::connect_with(owner).await?;
    let belongs = match belongs_to(&mut connection, environment).await {
        // undefined_table: it is older than the mark, or empty
        Err(ForeignError::Database(sqlx::Error::Database(error))) if error.code().as_deref() == Some("42P01") => Ok(()),
        other => other,
    };
    connection.close().await?;
    belongs
}

/// Refuses a database that another environment used first: its keys, accounts and secrets are that one's.
async fn belongs_to(connection: impl PgExecutor<'_>, environment: &str) -> Result<(), ForeignError> {
    let owner = environment_of(connection).await?;
    owner.filter(|owner| owner != environment).map_or(Ok(()), |owner| Err(ForeignError::Foreign(owner)))
}

async fn environment_of(connection: impl PgExecutor<'_>) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!("SELECT environment FROM deployment").fetch_optional(connection).await
}

/// What a database is like, and what the service's login may do there: for whoever judges it.
#[derive(Debug)]
pub struct Inspected {
    /// What the login or [`RUNTIME_ROLE`] may do beyond what the migrations give that role, each with the remedy.
    pub powers: Vec<String>,
    /// Whose grants let them change audit events, each with the remedy.
    pub changes_events: Vec<String>,
    /// Why its schema will not do.
    pub schema: Option<SchemaError>,
    /// Why production must not use it.
    pub foreign: Option<ForeignError>,
    /// The server.
    pub server: Server,
}

/// A Postgres server.
#[derive(Debug, Clone, Copy)]
pub struct Server {
    /// As Postgres numbers itself: 150004 is 15.4.
    pub version: i32,
    /// Connections that the service's login may have at once, all nodes together.
    pub connections: i32,
    /// How far its clock is ahead of this machine's.
    pub ahead: time::Duration,
}

/// Looks at a database without changing it.
///
/// # Errors
/// Why that cannot be done, in words.
pub async fn inspect(service: &PgConnectOptions, clock: &Clock) -> Result<Inspected, String> {
    let mut connection = match tokio::time::timeout(ACQUIRE_TIMEOUT * 2, PgConnection::connect_with(service)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(format!("cannot be reached: {error}")),
        Err(_) => return Err("cannot be reached: no answer".into()),
    };
    let unjudged = |error: sqlx::Error| format!("its login cannot be judged: {error}");
    let (powers, changes_events) = login_powers(&mut connection).await.map_err(unjudged)?;
    let server = server(&mut connection, clock).await.map_err(unjudged)?;
    let pool = pool(service.clone(), 1);
    let (schema, foreign) = match check_schema(&pool).await {
        Ok(()) => (None, belongs_to(&pool, "production").await.err()),
        Err(error) => (Some(error), None),
    };
    pool.close().await;
    Ok(Inspected { powers, changes_events, schema, foreign, server })
}

async fn server(connection: &mut PgConnection, clock: &Clock) -> Result<Server, sqlx::Error> {
    let asked = clock.now();
    let row = sqlx::query!(
        r#"SELECT current_setting('server_version_num')::integer AS "version!", clock_timestamp() AS "now!",
                  least(current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
                            - coalesce(current_setting('reserved_connections', true)::integer, 0),
                        (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = session_user),
                        (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())) AS "connections!""#
    )
    .fetch_one(connection)
    .await?;
    // it looked at its clock somewhere in between
    let halfway = asked + (clock.now() - asked) / 2;
    Ok(Server { version: row.version, connections: row.connections, ahead: row.now - halfway })
}

/// What the login itself may do, whatever role it acts as (`SET ROLE NONE` is one statement away), and what that role may do beyond
/// what the migrations give it; and which of them may change audit events.
async fn login_powers(connection: &mut PgConnection) -> Result<(Vec<String>, Vec<String>), sqlx::Error> {
    let roles = sqlx::query!(
        r#"SELECT r.rolname::text AS "name!", r.rolsuper AS "superuser!", r.rolcreaterole AS "creates_roles!",
                  r.rolcreatedb AS "creates_databases!", r.rolreplication AS "replicates!", r.rolbypassrls AS "bypasses!",
                  has_database_privilege(r.oid, current_database(), 'CREATE') OR EXISTS (SELECT FROM pg_namespace n
                      WHERE n.nspname !~ '^pg_' AND has_schema_privilege(r.oid, n.oid, 'CREATE')) AS "creates_tables!",
                  r.rolname <> 'portcullis_runtime' AND (
                      EXISTS (SELECT FROM pg_class c, aclexplode(c.relacl) a WHERE a.grantee = r.oid)
                      OR EXISTS (SELECT FROM pg_attribute c, aclexplode(c.attacl) a WHERE a.grantee = r.oid)) AS "has_grants!",
                  EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
                      WHERE n.nspname = 'public' AND a.grantee = 0) AS "everybody_has_grants!",
                  EXISTS (SELECT FROM unnest(ARRAY['audit_events', 'audit_chain', 'audit_heads', 'audit_checkpoints']) t
                      WHERE coalesce(has_table_privilege(r.oid, to_regclass('public.' || t)::oid, 'UPDATE, DELETE, TRUNCATE'), false))
                      AS "changes_events!",
                  EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid AND m.admin_option) AS "administers!",
                  EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE n.nspname = 'public' AND pg_has_role(r.oid, c.relowner, 'MEMBER'))
                      OR EXISTS (SELECT FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
                      WHERE n.nspname !~ '^(pg_|information_schema)' AND pg_has_role(r.oid, f.proowner, 'MEMBER')) AS "owns!",
                  ARRAY(SELECT m.rolname::text FROM pg_roles m
                      WHERE m.rolname NOT IN (r.rolname, 'portcullis_runtime') AND pg_has_role(r.oid, m.oid, 'MEMBER')) AS "member_of!"
           FROM pg_roles r WHERE r.rolname IN (session_user, 'portcullis_runtime')"#
    )
    .fetch_all(connection)
    .await?;
    let (mut powers, mut changes_events) = (Vec::new(), Vec::new());
    for is in roles {
        let who = if is.name == RUNTIME_ROLE { format!("the role {RUNTIME_ROLE}") } else { "its login".to_owned() };
        // a superuser is all of the others too
        if is.superuser {
            powers.push(format!("{who} is a superuser"));
            changes_events.push(format!("{who} may change audit events, as superusers may"));
            continue;
        }
        let all = [
            (is.creates_roles, "may create roles"),
            (is.creates_databases, "may create databases"),
            (is.replicates, "may replicate"),
            (is.bypasses, "bypasses row security"),
            (is.creates_tables, "may create tables or schemas"),
            (is.owns, "owns the tables or their functions"),
            (is.has_grants, "has grants of its own"),
            (is.everybody_has_grants, "has grants that everybody has"),
            (is.administers, "may give roles to others"),
        ];
        powers.extend(all.into_iter().filter(|(is, _)| *is).map(|(_, power)| format!("{who} {power}")));
        changes_events.extend(is.changes_events.then(|| format!("{who} may change audit events")));
        powers.extend(is.member_of.iter().map(|role| format!("{who} is a member of {role}")));
    }
    let remedy = format!("give the service a login that is a member of {RUNTIME_ROLE} and nothing else, and that role what the migrations give it");
    let with_remedy = |all: Vec<String>| all.into_iter().map(|power| format!("{power}: {remedy}")).collect();
    Ok((with_remedy(powers), with_remedy(changes_events)))
}

/// Makes the service's login where there is none. Returns whether it did.
///
/// # Errors
/// When the owner may not, the password is not ASCII, or the database is away.
pub async fn ensure_login(owner: &PgConnectOptions, name: &str, password: &SecretString) -> anyhow::Result<bool> {
    let mut connection = PgConnection::connect_with(owner).await?;
    let is_known =
        sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS "is!""#, name).fetch_one(&mut connection).await?;
    if !is_known {
        let quoted = sqlx::query_scalar!(
            r#"SELECT format('CREATE ROLE %I LOGIN PASSWORD %L IN ROLE portcullis_runtime', $1::text, $2::text) AS "sql!""#,
            name,
            crypto::scram_verifier(password).context("its password must be ASCII")?
        );
        let statement = quoted.fetch_one(&mut connection).await?;
        connection.execute(AssertSqlSafe(statement)).await?;
    }
    connection.close().await?;
    Ok(!is_known)
}

/// Does the work while no other node does it: holds the advisory lock of this name for as long. `None`: another node is at it.
/// Should this process die, Postgres gives the lock back.
///
/// # Errors
/// When the database is away, or what the work fails with.
pub async fn exclusively<T, E: From<sqlx::Error>>(pool: &PgPool, name: &str, work: impl Future<Output = Result<T, E>>) -> Result<Option<T>, E> {
    let mut lock = pool.begin().await?;
    // this transaction sits idle while the work is done on other connections
    sqlx::query!("SELECT set_config('idle_in_transaction_session_timeout', '0', true) AS set").fetch_one(&mut *lock).await?;
    let is_ours = sqlx::query_scalar!(r#"SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS "ours!""#, name).fetch_one(&mut *lock).await?;
    if !is_ours {
        return Ok(None);
    }
    let done = work.await?;
    lock.commit().await?;
    Ok(Some(done))
}

/// Whether the error says that the database is away, busy or restarting (try again later), not that the statement is wrong.
#[must_use]
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_) => true,
        // 08 connection, 53 resources, 57 operator intervention and time-outs, 40 serialization and deadlock, 28 credentials in
        // rotation, 25P03 idle transaction ended, 25006 a server that only reads (a standby, around a failover), 55P03 lock not available
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "53", "57", "40", "28"].iter().any(|class| code.starts_with(class)) || matches!(&*code, "25P03" | "25006" | "55P03")
        }),
        _ => false,
    }
}

/// Whether a unique constraint of this name refused the row.
#[must_use]
pub fn violates(error: &sqlx::Error, constraint: &str) -> bool {
    error.as_database_error().is_some_and(|error| error.constraint() == Some(constraint))
}
