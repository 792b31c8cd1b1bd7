//! A private Postgres cluster from the machine's own binaries, so that `cargo run` and `cargo test` need nothing set up.
//!
//! It listens on a Unix socket only, asks every role for its password (scram-sha-256), never runs as root, and ends however
//! its parent ends: a small shell holds the other end of a pipe and stops the cluster when the pipe closes. One process owns
//! the cluster (it holds the lock file); another command on the same folder adopts the running one, and an owner that ends
//! in good order waits for its guests first.
//! Faults: `tests/suite/local_postgres.rs`.

use crate::platform::{crypto, files, postgres_binaries};
use anyhow::{Context, bail};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use std::{
    fs,
    io::Write,
    os::unix::{
        fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

const SUPERUSER: &str = "postgres";
const OWNER: &str = "portcullis_owner";
const RUNTIME: &str = crate::platform::db::RUNTIME_ROLE;
const DATABASE: &str = "portcullis";

/// Longest folder for a socket: `sun_path` holds 107 bytes, `/.s.PGSQL.5432.lock` takes 19 of them.
const LONGEST_SOCKET_FOLDER: usize = 107 - 19;

/// How long the cluster may take to start, and how long an old one may take to leave.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs Postgres and stops it (fast shutdown) when standard input ends. Ignores the terminal's signals: the parent decides. The order
/// to stop is repeated: one that comes before Postgres listens to signals is lost.
const WATCHDOG: &str = r#"trap '' INT TERM HUP
"$@" </dev/null >/dev/null 2>&1 &
read -r _
while kill -INT $! 2>/dev/null; do sleep 0.2; done
wait $!"#;

/// A cluster on this machine. Dropping the value stops the cluster if this process started it.
pub struct LocalPostgres {
    credentials: Credentials,
    socket: PathBuf,
    _watchdog: Option<Watchdog>,
    _guest: Option<fs::File>,
}

struct Watchdog {
    child: Child,
    pipe: Option<ChildStdin>,
    guests: fs::File,
    _lock: fs::File,
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let (begun, mut is_told) = (Instant::now(), false);
        while self.guests.try_lock().is_err() && begun.elapsed() < PATIENCE {
            if !is_told {
                tracing::info!(at_most = ?PATIENCE, "waiting for other commands that use the private Postgres");
                is_told = true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        drop(self.pipe.take());
        if let Err(error) = self.child.wait() {
            tracing::warn!(%error, "the private Postgres did not report its end");
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Credentials {
    superuser: String,
    owner: String,
    runtime: String,
}

impl LocalPostgres {
    /// Starts the cluster in `folder` (made on first use), or adopts it when another process already runs it.
    ///
    /// # Errors
    /// No binaries (with the install line for this system), an unwritable folder, or Postgres's own refusal with the tail of
    /// its log.
    pub async fn start(folder: &Path, settings: &[&str]) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let folder = folder.canonicalize()?;
        let credentials: Credentials = serde_json::from_str(&files::read_or_create_private(&folder.join("credentials.json"), || {
            let password = || URL_SAFE_NO_PAD.encode(crypto::random::<24>());
            Ok(serde_json::to_string(&Credentials { superuser: password(), owner: password(), runtime: password() })?)
        })?)?;

        let binaries = postgres_binaries::find()?;
        let account = Unprivileged::find()?;
        let home = account.home_for(&folder)?;
        let cluster = home.join("cluster");
        let socket = account.socket_folder(&home)?;
        let mut this = Self { credentials, socket, _watchdog: None, _guest: None };

        let lock = open_lock(&folder.join("lock"))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if lock.try_lock().is_ok() {
                break;
            }
            let guest = open_lock(&folder.join("guests"))?;
            if guest.try_lock_shared().is_ok() && connects(&this.owner()).await {
                this._guest = Some(guest);
                tracing::debug!("adopted the running private Postgres");
                return Ok(this);
            }
            drop(guest);
            if Instant::now() > deadline {
                bail!("another process holds {} but its Postgres does not answer", folder.join("lock").display());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // we are the owner now; a cluster whose owner was killed is on its way out: let it go first
        while cluster.join("postmaster.pid").exists() && this.answers().await && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if !cluster.join("PG_VERSION").exists() {
            initialise(&binaries, &account, &cluster, &this.credentials.superuser)?;
        }
        let mut watchdog = watch(&binaries, &account, &cluster, &this.socket, settings, open_lock(&folder.join("guests"))?, lock)?;
        // from here on: what went before takes its time on a busy machine, and says nothing about this start
        let begun = Instant::now();
        loop {
            match PgConnection::connect_with(&this.superuser()).await {
                Ok(_) => break,
                // 28P01: wrong password
                Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("28P01") => bail!(
                    "the private Postgres in {0} does not know the passwords in {1}: it belongs to an earlier data folder. Delete {0} to begin anew",
                    home.display(),
                    folder.join("credentials.json").display()
                ),
                Err(_) => {}
            }
            if watchdog.child.try_wait()?.is_some() || begun.elapsed() > PATIENCE || !postmaster_lives(&cluster, begun) {
                bail!("the private Postgres did not start; the end of its log:\n{}", log_tail(&cluster));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        this.create_roles().await?;
        this._watchdog = Some(watchdog);
        Ok(this)
    }

    /// Connects as the owner of the database: for migrations.
    #[must_use]
    pub fn owner(&self) -> PgConnectOptions {
        self.options(OWNER, &self.credentials.owner, DATABASE)
    }

    /// Connects as the role that serves requests.
    #[must_use]
    pub fn runtime(&self) -> PgConnectOptions {
        self.options(RUNTIME, &self.credentials.runtime, DATABASE)
    }

    /// Connects as the superuser: for the test suite, which makes and drops databases.
    #[must_use]
    pub fn superuser(&self) -> PgConnectOptions {
        self.options(SUPERUSER, &self.credentials.superuser, SUPERUSER)
    }

    /// The folder of the socket, for `psql -h`.
    #[must_use]
    pub fn socket_folder(&self) -> &Path {
        &self.socket
    }

    fn options(&self, role: &str, password: &str, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass().socket(&self.socket).port(5432).username(role).password(password).database(database)
    }

    /// Whether anything answers at the socket, even if only to say that it is shutting down.
    async fn answers(&self) -> bool {
        match PgConnection::connect_with(&self.superuser()).await {
            Ok(_) | Err(sqlx::Error::Database(_)) => true,
            Err(_) => false,
        }
    }

    async fn create_roles(&self) -> anyhow::Result<()> {
        // passwords are in these statements: not into our log, and not into Postgres's when one fails
        let mut connection = PgConnection::connect_with(&self.superuser().disable_statement_logging()).await?;
        sqlx::query("SET log_min_error_statement = panic").execute(&mut connection).await?;
        for (role, password) in [(OWNER, &self.credentials.owner), (RUNTIME, &self.credentials.runtime)] {
            let known: bool =
                sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)").bind(role).fetch_one(&mut connection).await?;
            if !known {
                // role names and passwords are this file's own (base64url): nothing to escape
                let sql = format!("CREATE ROLE {role} LOGIN PASSWORD '{password}'");
                sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await?;
            }
        }
        let known: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)").bind(DATABASE).fetch_one(&mut connection).await?;
        if !known {
            sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {DATABASE} OWNER {OWNER}"))).execute(&mut connection).await?;
        }
        connection.close().await?;
        Ok(())
    }
}

/// Who runs Postgres: this user, or the system's `postgres` user when this user is root (Postgres refuses root).
struct Unprivileged(Option<(u32, u32)>);

impl Unprivileged {
    fn find() -> anyhow::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self(None));
        }
        let accounts = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let ids = accounts.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == "postgres").then_some(())?;
            Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
        });
        ids.map(|ids| Self(Some(ids)))
            .context("Postgres does not run as root and this system has no `postgres` user: install Postgres by the system's packages, or run as an ordinary user")
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        // none of our environment: it may hold the key that must never get near the database
        command.current_dir("/").env_clear().env("LC_ALL", "C").envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
        command
    }

    /// A folder that the account owns: inside `folder`, or under /var/lib/portcullis where `folder` is out of its reach.
    fn home_for(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let Some((user, group)) = self.0 else { return Ok(folder.to_owned()) };
        let reachable = self.command("test").arg("-x").arg(folder).status().is_ok_and(|status| status.success());
        let home = if reachable {
            folder.join("server")
        } else {
            let name = crypto::sha256(folder.as_os_str().as_encoded_bytes());
            Path::new("/var/lib/portcullis").join(URL_SAFE_NO_PAD.encode(&name[..9]))
        };
        fs::create_dir_all(&home)?;
        if fs::metadata(&home)?.uid() != user {
            chown(&home, Some(user), Some(group))?;
        }
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700))?;
        Ok(home)
    }

    fn socket_folder(&self, home: &Path) -> anyhow::Result<PathBuf> {
        // a comma would end the name in Postgres's list of folders
        if home.as_os_str().len() <= LONGEST_SOCKET_FOLDER && !home.as_os_str().as_encoded_bytes().contains(&b',') {
            return Ok(home.to_owned());
        }
        let name = URL_SAFE_NO_PAD.encode(&crypto::sha256(home.as_os_str().as_encoded_bytes())[..9]);
        let folder = std::env::temp_dir().join(format!("portcullis-{name}"));
        let expected = self.0.map_or(rustix::process::geteuid().as_raw(), |(user, _)| user);
        if !folder.exists() {
            fs::create_dir(&folder)?;
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
            chown(&folder, Some(expected), None)?;
        }
        // somebody else's folder in a shared /tmp could hold somebody else's server
        let found = fs::symlink_metadata(&folder)?;
        if !found.is_dir() || found.uid() != expected {
            bail!("{} belongs to somebody else", folder.display());
        }
        Ok(folder)
    }
}

fn initialise(binaries: &Path, account: &Unprivileged, cluster: &Path, password: &str) -> anyhow::Result<()> {
    if cluster.exists() {
        // an earlier first start was cut off: nothing in there was ever used
        fs::remove_dir_all(cluster)?;
    }
    let unfinished = cluster.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    let password_file = cluster.with_extension("password");
    if password_file.exists() {
        fs::remove_file(&password_file)?;
    }
    // by the open file, never by its name: the folder belongs to the other user, who could put a link there
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&password_file)?;
    file.write_all(password.as_bytes())?;
    if let Some((user, group)) = account.0 {
        fchown(&file, Some(user), Some(group))?;
    }
    let output = account
        .command(binaries.join("initdb"))
        .arg("--pgdata")
        .arg(&unfinished)
        .args(["--username", SUPERUSER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-instructions"])
        .arg("--pwfile")
        .arg(&password_file)
        .stdin(Stdio::null())
        .output()
        .context("cannot run initdb")?;
    fs::remove_file(&password_file)?;
    if !output.status.success() {
        bail!("initdb failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    fs::rename(&unfinished, cluster)?;
    Ok(())
}

async fn connects(options: &PgConnectOptions) -> bool {
    PgConnection::connect_with(options).await.is_ok()
}

fn open_lock(path: &Path) -> std::io::Result<fs::File> {
    // 0600: whoever can open it can hold it against us
    fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}

fn watch(
    binaries: &Path,
    account: &Unprivileged,
    cluster: &Path,
    socket: &Path,
    settings: &[&str],
    guests: fs::File,
    lock: fs::File,
) -> anyhow::Result<Watchdog> {
    let mut command = account.command("/bin/sh");
    command.args(["-c", WATCHDOG, "portcullis-watchdog"]).arg(binaries.join("postgres")).arg("-D").arg(cluster);
    for setting in
        ["listen_addresses=", "port=5432", "logging_collector=on", "log_directory=log", "log_filename=postgres.log", "log_truncate_on_rotation=off"]
            .iter()
            .chain(settings)
    {
        command.arg("-c").arg(setting);
    }
    command.arg("-c").arg(format!("unix_socket_directories={}", socket.display()));
    let mut child = command
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start the private Postgres")?;
    let pipe = child.stdin.take();
    Ok(Watchdog { child, pipe, guests, _lock: lock })
}

/// The postmaster writes its pid file at once, if it gets the processor, and removes it when it gives up.
fn postmaster_lives(cluster: &Path, begun: Instant) -> bool {
    cluster.join("postmaster.pid").exists() || begun.elapsed() < PATIENCE / 3
}

fn log_tail(cluster: &Path) -> String {
    let log = fs::read_to_string(cluster.join("log/postgres.log")).unwrap_or_else(|error| format!("(no log: {error})"));
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
