//! The commands. `serve` is the default; in development it brings the database up to date by itself, in production it refuses
//! a schema that is behind.

mod admin;
mod audit;
pub mod check;
mod fresh_secrets;
mod health;
mod keys;
mod secrets;

use crate::{
    api,
    audit::alerts::signals::Signals,
    credentials::{
        api_key::UsedKeys,
        password::{HashPool, Passwords},
    },
    platform::{
        clock::Clock,
        crypto, db,
        fence::System,
        files,
        keyring::{KeyEncryption, Keyring},
        local_postgres::LocalPostgres,
        mail::{Mailer, Transport},
        process,
        redis::Redis,
        reports::Reports,
        telemetry::{self, LogFormat},
        window::Windows,
    },
    server::{
        Parts, Service,
        tls::{self, Certificates, Identity, acme::Acme},
    },
    sessions::{revocation::Revocations, seen::Seen},
    settings::{self, Database, Environment, Settings, Sources, Tls, Values, database::Login, sources},
    state::{State, federation, fenced, in_hand, policies},
};
use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use check::report::Report;
use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::{PgPool, postgres::PgConnectOptions};
use std::{
    fs,
    io::{IsTerminal, Write},
    pin::pin,
    process::ExitCode,
    sync::Arc,
    thread,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tracing_subscriber::{EnvFilter, util::SubscriberInitExt};

/// Files and sockets that are no clients': to the database, to the mail server, of operators.
const OTHER_FILES: u64 = 200;
/// Counters that a node keeps in memory while Redis is away, at most: about 20 MB.
const LOCAL_COUNTERS: usize = 100_000;

/// A user and account REST API on Postgres.
#[derive(clap::Parser)]
#[command(name = "portcullis", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Serve (the default).
    Serve,
    /// Apply outstanding migrations as the owner of the database.
    Migrate,
    /// Print the API document (OpenAPI 3.1).
    Openapi,
    /// Fill in the guide's checklist for the settings in the environment and the database in them, as production would judge them.
    ///
    /// Fails where something falls short. docs/check.md says how to read it.
    Check(check::Args),
    /// Ask the service that runs here whether it is ready.
    Health,
    /// Make the secrets of the Compose deployment, those that are missing.
    Secrets(secrets::Args),
    /// The keys of the service.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Administrators.
    #[command(subcommand)]
    Admin(admin::Command),
    /// The audit log: is it whole, what is in it, what may go.
    #[command(subcommand)]
    Audit(audit::Command),
}

impl Cli {
    /// Runs the command. Gives the exit code, which tells more than failure for `check` only.
    ///
    /// # Errors
    /// Whatever kept it from its work, in words for the operator.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let done = match self.command.unwrap_or(Command::Serve) {
            Command::Check(args) => return Ok(check::run(&args).await),
            Command::Serve => {
                let (settings, sources, report) = check::settings().await?;
                serve(settings, sources, report).await
            }
            Command::Health => health::run(),
            Command::Secrets(args) => secrets::run(&args),
            Command::Migrate => migrate(&Settings::for_migration(values().await?)?).await,
            Command::Admin(command) => admin::run(command, &Settings::from_values(values().await?)?).await,
            Command::Audit(command) => audit::run(command, &Settings::from_values(values().await?)?).await,
            Command::Keys(command) => keys::run(command, &Settings::from_values(values().await?)?).await,
            Command::Openapi => {
                // a reader that has seen enough (`| head`) is no fault of ours
                match writeln!(std::io::stdout(), "{}", api::document().to_pretty_json()?) {
                    Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
                    _ => Ok(()),
                }
            }
        };
        done.map(|()| ExitCode::SUCCESS)
    }
}

/// The settings of the process, for a command that reads its secrets once.
async fn values() -> anyhow::Result<Values> {
    let (values, sources) = sources::resolve(Settings::process_values()?).await;
    sources.close().await;
    Ok(values)
}

/// The database in the settings, or a private one that lives as long as the second value.
async fn database(settings: &Settings) -> anyhow::Result<(Database, Option<LocalPostgres>)> {
    if let Some(database) = settings.database.clone() {
        return Ok((database, None));
    }
    let local = LocalPostgres::start(&settings.data_dir.join("postgres"), &[]).await?;
    Ok((Database { service: local.runtime(), owner: local.owner(), login: None }, Some(local)))
}

/// What every command that works on the service's data needs.
struct Opened {
    pool: PgPool,
    /// How connections are made that are none of the pool's.
    connect: PgConnectOptions,
    /// The same for the owner of the database, where the settings have them.
    owner: PgConnectOptions,
    keyring: Keyring,
    /// The private cluster, if there is one: it lives as long as this.
    local: Option<LocalPostgres>,
}

async fn open(settings: &Settings, clock: &Clock) -> anyhow::Result<Opened> {
    let (database, local) = database(settings).await?;
    let connect = db::as_runtime(database.service.clone());
    let pool = db::pool(database.service.clone(), settings.database_connections);
    // only when there is something to do: the service's login may not be the owner's
    if settings.environment == Environment::Development && db::check_schema(&pool).await.is_err() {
        bring_up_to_date(&database, settings.environment).await?;
    }
    db::reach(&database.service).await.context("cannot reach the database (DATABASE_URL)")?;
    db::check_schema(&pool).await?;
    db::claim(&pool, settings.environment.name(), clock.now()).await.context("cannot use the database (DATABASE_URL)")?;
    let keyring = Keyring::open(&pool, key_encryption(settings)?, settings.token_algorithm, clock.now()).await?;
    Ok(Opened { pool, connect, owner: database.owner, keyring, local })
}

/// Password hashing as the settings say.
fn passwords(settings: &Settings, keyring: &Keyring) -> anyhow::Result<Passwords> {
    let threads = settings.hashing.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, Into::into));
    let pool = HashPool::start(threads, settings.hashing.queue)?;
    Ok(Passwords::new(pool, keyring.clone(), settings.hashing.cost))
}

async fn migrate(settings: &Settings) -> anyhow::Result<()> {
    let (database, _local) = database(settings).await?;
    bring_up_to_date(&database, settings.environment).await?;
    println!("the database is up to date");
    Ok(())
}

/// Migrations, and the service's own login where there is none yet.
async fn bring_up_to_date(database: &Database, environment: Environment) -> anyhow::Result<()> {
    let reached = db::reach(&database.owner).await.context("cannot reach it (PORTCULLIS_OWNER_DATABASE_URL, otherwise DATABASE_URL)");
    reached.context("cannot bring the database up to date")?;
    // before anything is changed: there is no way back from a migration of another environment's data
    db::refuse_foreign(&database.owner, environment.name()).await.context("cannot bring the database up to date")?;
    db::migrate(&database.owner).await.context("cannot bring the database up to date")?;
    if let Some(Login { name, password }) = &database.login
        && db::ensure_login(&database.owner, name, password).await.with_context(|| format!("cannot make the login {name} of DATABASE_URL"))?
    {
        println!("made the login {name}");
    }
    Ok(())
}

async fn serve(settings: Settings, sources: Sources, report: Option<Report>) -> anyhow::Result<()> {
    let reports = settings.sentry_dsn.as_ref().map(|dsn| Reports::to(dsn, settings.environment.name())).transpose()?;
    let filter = EnvFilter::try_new(&settings.log)?;
    telemetry::subscriber(settings.log_format, filter, std::io::stdout().is_terminal(), std::io::stdout, reports.clone())?.try_init()?;
    telemetry::log_panics();
    if let Some(report) = report {
        report.log();
    }
    let recorder = telemetry::install_metrics()?;
    let (open_files, connections) = (process::allow_open_files(), settings.connections.total);
    if open_files < connections as u64 + OTHER_FILES {
        tracing::warn!(open_files, connections, "the system allows fewer open files than PORTCULLIS_CONNECTIONS needs");
    }
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut order_to_stop = pin!(async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    });
    let (service, _local) = tokio::select! {
        started = start(settings, sources, recorder) => started?,
        () = &mut order_to_stop => return Ok(()),
    };
    order_to_stop.await;
    tracing::info!("stopping: running requests may finish");
    service.stop().await;
    if reports.is_some_and(|reports| !reports.flush()) {
        tracing::warn!("the last reports of faults were not delivered");
    }
    Ok(())
}

async fn start(settings: Settings, sources: Sources, recorder: PrometheusHandle) -> anyhow::Result<(Service, Option<LocalPostgres>)> {
    let clock = Clock::system();
    let policies = policies(settings.policies.as_deref())?;
    let Opened { pool, connect, keyring, local, .. } = open(&settings, &clock).await?;
    keys::tell_of_previous(&pool, &keyring).await?;
    let passwords = passwords(&settings, &keyring)?;
    let certificates = match settings.tls.clone() {
        Tls::Files(paths) => Some(Certificates::Files(paths)),
        Tls::Acme(authority) => Some(Certificates::Acme(Acme { settings: authority, domain: settings.public_url.host() })),
        Tls::Made => Some(Certificates::Fixed(Identity::for_development(&private_folder(&settings, "tls")?, &clock)?)),
        Tls::Proxy => None,
    };
    let transport = match settings.smtp.clone() {
        Some(smtp) => smtp,
        None => Transport::Files(private_folder(&settings, "mail")?),
    };
    let mailer = Mailer { transport, from: settings.mail_from.clone() };
    let settings = Arc::new(settings);
    let state = State {
        in_hand: in_hand(&settings),
        federation: federation(&settings)?,
        policies,
        settings: settings.clone(),
        pool: pool.clone(),
        revocations: Revocations::default(),
        clock,
        keyring,
        passwords,
        redis: settings.redis.clone().map(Redis::new).transpose()?,
        windows: Windows::new(LOCAL_COUNTERS),
        seen: Seen::default(),
        keys_used: UsedKeys::default(),
        signals: Signals::default(),
        fenced: fenced(&settings, Arc::new(System))?,
        letter_waits: Arc::default(),
        webhook_waits: Arc::default(),
        export_waits: Arc::default(),
        inbox_waits: Arc::default(),
    };
    let (changed, feed) = watch::channel(connect);
    let service = Service::start(Parts { state, mailer, certificates, recorder, feed })?;
    tokio::spawn(fresh_secrets::follow(sources, fresh_secrets::Target { pool, changed }));
    announce(&service, &settings, local.as_ref());

    Ok((service, local))
}

/// From the settings; development makes one that outlives the process and that only this user can read.
fn key_encryption(settings: &Settings) -> anyhow::Result<KeyEncryption> {
    let previous = settings.previous_key_encryption_key.clone();
    if let Some(key) = settings.key_encryption_key.clone() {
        return Ok(KeyEncryption::new(key, previous));
    }
    let path = private_folder(settings, "")?.join(settings::DEVELOPMENT_KEY);
    let text = files::read_or_create_private(&path, || Ok(STANDARD.encode(crypto::random::<32>())))
        .with_context(|| format!("cannot use {}", path.display()))?;
    let key = settings::parse_key(&text).map_err(|reason| anyhow::anyhow!("{} {reason}", path.display()))?;
    Ok(KeyEncryption::new(key, previous))
}

fn private_folder(settings: &Settings, name: &str) -> anyhow::Result<std::path::PathBuf> {
    let folder = settings.data_dir.join(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// Says where everything is; in development for a person too, with a line to try: beside a log for machines, on standard error.
fn announce(service: &Service, settings: &Settings, local: Option<&LocalPostgres>) {
    let counters = if settings.redis.is_some() { "Redis" } else { "Postgres" };
    tracing::info!(https = %service.https, http = service.http.map(tracing::field::display), operators = service.operators.map(tracing::field::display), public_url = %settings.public_url, counters, "serving");
    if settings.environment == Environment::Production {
        return;
    }
    let data = &settings.data_dir;
    let mut lines = vec![format!("Portcullis serves {} (try {}/docs)", settings.public_url, settings.public_url)];
    if let Some(operators) = service.operators {
        lines.push(format!("  operators  http://{operators}/metrics and /readyz"));
    }
    match local {
        Some(local) => lines.push(format!("  database   private Postgres, socket in {}", local.socket_folder().display())),
        None => lines.push("  database   as DATABASE_URL says".to_owned()),
    }
    if settings.redis.is_some() {
        lines.push("  counters   Redis, as REDIS_URL says; the log tells whether it is there".to_owned());
    }
    if settings.smtp.is_none() {
        lines.push(format!("  letters    {}", data.join("mail").display()));
    }
    if matches!(settings.tls, Tls::Made) {
        let authority = tls::authority_certificate(&data.join("tls"));
        lines.push(format!("  authority  {} (make your browser trust it, or accept its warning)", authority.display()));
        lines.push(format!(
            "Try: curl --cacert {} {}/v1/auth/register --json '{{\"email\":\"ada@example.org\"}}'",
            authority.display(),
            settings.public_url
        ));
    }
    let text = format!("{}\n", lines.join("\n"));
    _ = match settings.log_format {
        LogFormat::Json => writeln!(std::io::stderr(), "{text}"),
        LogFormat::Pretty => writeln!(std::io::stdout(), "{text}"),
    };
}
