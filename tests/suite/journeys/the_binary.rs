//! The binary as an operator meets it: first start, second start, Ctrl-C, `kill -9`, and every way in which a start can fail. The
//! README's tour is run here as it is written.

use crate::support::{
    log,
    smtp::{Offers, SmtpServer},
};
use portcullis::platform::local_postgres::LocalPostgres;
use sqlx::{Connection, PgConnection};
use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

const DEADLINE: Duration = Duration::from_secs(60);

pub fn portcullis(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.current_dir(folder).env_clear().stdin(Stdio::null());
    // what a shell always has
    for name in ["PATH", "HOME", "TMPDIR"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    for (name, value) in [("HTTPS", "127.0.0.1:0"), ("HTTP", "127.0.0.1:0"), ("OPERATOR", "127.0.0.1:0")] {
        command.env(format!("PORTCULLIS_{name}_LISTEN"), value);
    }
    command.env("PORTCULLIS_LOG_FORMAT", "json").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub struct Running {
    child: Child,
    folder: PathBuf,
    pub port: String,
    pub banner: String,
    /// Keeps the pipe open and empty, so that the service can go on logging.
    _drain: std::thread::JoinHandle<()>,
}

impl Running {
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    pub fn start_with(folder: &Path, settings: &[(&str, &str)]) -> Self {
        let mut child = portcullis(folder).envs(settings.iter().copied()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut banner = String::new();
        let mut port = None;
        for line in lines.by_ref() {
            let line = line.unwrap();
            keep(&line);
            if line.contains("\"message\":\"serving\"") {
                let record: serde_json::Value = serde_json::from_str(&line).unwrap();
                port = record["https"].as_str().unwrap().rsplit(':').next().map(str::to_owned);
            }
            banner.push_str(&line);
            banner.push('\n');
            if port.is_some() {
                break;
            }
        }
        let Some(port) = port else { panic!("did not start: {banner}{}", rest(&mut child)) };
        assert!(banner.lines().all(|line| line.starts_with('{')), "nothing but JSON is on standard output:\n{banner}");
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            let line = line.unwrap();
            let is_last = line.starts_with("Try: ");
            banner.push_str(&line);
            banner.push('\n');
            if is_last {
                break;
            }
        }
        let _drain = std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| keep(&line)));
        Self { child, folder: folder.to_owned(), port, banner, _drain }
    }

    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    pub fn end(mut self) -> bool {
        wait_until("it ends", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap().success()
    }

    /// Runs a script as a person would paste it; gives back all that it printed.
    pub fn shell(&self, script: &str) -> String {
        let script = script.replace("localhost:8443", &format!("localhost:{}", self.port));
        let output = Command::new("bash").args(["-euo", "pipefail", "-c", &script]).current_dir(&self.folder).output().unwrap();
        assert!(output.status.success(), "{script}\n{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// For the scan after the suite. The banner, which names an address to try, is no log.
fn keep(line: &str) {
    if line.starts_with('{') {
        log::keep(format!("{line}\n").as_bytes());
    }
}

fn rest(child: &mut Child) -> String {
    child.kill().unwrap();
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o077 == 0
}

#[test]
fn the_readmes_tour_works_as_written_and_a_second_run_finds_the_same_data() {
    let folder = tempfile::tempdir().unwrap();
    let readme = fs::read_to_string("README.md").unwrap();
    let tour: Vec<&str> = readme.split("```sh tour\n").skip(1).map(|part| part.split("```").next().unwrap()).collect();
    assert_eq!(tour.len(), 2);
    let tour = &tour.join("\n");

    let first = Running::start(folder.path());
    for said in ["/docs", "/metrics", "socket in", "data/mail", "data/tls/ca.pem"] {
        assert!(first.banner.contains(said), "{said} is not in\n{}", first.banner);
    }
    let answers = first.shell(tour);
    let expected = ["proof_id", "account_id", "csrf_token", "\"name\":\"Ada\"", "CSRF_REJECTED", "\"name\":\"Countess Lovelace\"", "UNAUTHENTICATED"];
    let expected = expected.into_iter().chain(["\"name\":\"Countess Lovelace\"", "x-auth-subject", "{\"keys\":[", "INVALID_TOKEN"]);
    let mut from = 0;
    for part in expected {
        from += answers[from..].find(part).unwrap_or_else(|| panic!("{part} does not come next in\n{answers}"));
    }
    let line = first.banner.lines().find_map(|line| line.strip_prefix("Try: ")).unwrap().replace("ada@", "bob@");
    assert!(first.shell(&line).contains("proof_id"), "the banner's line works");
    for secret in ["data/key-encryption-key", "data/tls/ca-key.pem", "data/postgres/credentials.json"] {
        assert!(is_private(&folder.path().join(secret)), "{secret}");
    }
    first.signal("-INT");
    assert!(first.end(), "Ctrl-C is a success");

    let begun = Instant::now();
    let second = Running::start(folder.path());
    assert!(begun.elapsed() < DEADLINE);
    let sign_in = tour.lines().find(|line| line.contains("/v1/auth/login")).unwrap();
    let answers = second.shell(&format!("{}\nsite=https://localhost:8443\n{sign_in}", tour.lines().next().unwrap()));
    assert!(answers.contains("session_id"), "{answers}");

    second.signal("-KILL");
    assert!(!second.end());
    let third = Running::start(folder.path());
    assert!(third.shell(&format!("{}\nsite=https://localhost:8443\n{sign_in}", tour.lines().next().unwrap())).contains("session_id"));
    third.signal("-TERM");
    assert!(third.end());
}

pub fn fails(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    let text = String::from_utf8(stderr).unwrap();
    assert!(!status.success() && status.code().is_some(), "{status}: {text}");
    assert!(text.starts_with("portcullis: ") && !text.contains("panicked") && !text.contains("backtrace"), "{text}");
    text
}

/// What a start says on standard error, or `check` in its table, whose lines end anywhere.
pub fn refusal(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert!(status.code() == Some(1) && !text.contains("panicked") && !text.contains("backtrace"), "{status}: {text}");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_start_that_cannot_be_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let wrong = fails(portcullis(folder).env("PORTCULLIS_BODY_LIMIT", "much").env("PORTCULLIS_COLOUR", "blue"));
    assert!(wrong.contains("PORTCULLIS_BODY_LIMIT must be") && wrong.contains("PORTCULLIS_COLOUR is no setting"), "{wrong}");

    let away = fails(portcullis(folder).env("DATABASE_URL", "postgres://nobody:canary@127.0.0.1:1/nothing"));
    assert!(away.contains("DATABASE_URL") && away.matches("Connection refused").count() == 1 && !away.contains("canary"), "{away}");

    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let taken = fails(portcullis(folder).env("PORTCULLIS_HTTPS_LISTEN", &address));
    assert!(taken.contains(&format!("cannot listen on {address} (PORTCULLIS_HTTPS_LISTEN)")), "{taken}");

    fs::write(folder.join(".env"), "PORTCULLIS_BODY_LIMIT=7\n").unwrap();
    let from_file = fails(&mut portcullis(folder));
    assert!(from_file.contains("PORTCULLIS_BODY_LIMIT"), "{from_file}");
    fs::write(folder.join(".env"), "PORTCULLIS_ENV=production\n").unwrap();
    let production_by_file = fails(&mut portcullis(folder));
    assert!(production_by_file.contains(".env is for development"), "{production_by_file}");
    let migration = [("PORTCULLIS_ENV", "production"), ("PORTCULLIS_OWNER_DATABASE_URL", "postgres://nobody:short@127.0.0.1:1/nothing")];
    let migration = fails(portcullis(folder).arg("migrate").envs(migration));
    assert!(migration.contains("cannot bring the database up to date"), "it needs no secret of the service: {migration}");
    let production = fails(portcullis(folder).env("PORTCULLIS_ENV", "production"));
    assert!(production.contains("DATABASE_URL must be set") && !production.contains("BODY_LIMIT"), "production reads no .env: {production}");
}

#[test]
fn the_api_document_is_printed() {
    let output = portcullis(Path::new(".")).arg("openapi").output().unwrap();
    assert!(output.status.success());
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["paths"]["/v1/me"]["patch"].is_object());
}

pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The server has the whole letter, and the service dies before it hears so: the letter goes out again, as the same letter.
#[actix_web::test]
async fn a_letter_under_way_survives_kill_nine_with_its_message_id() {
    let folder = tempfile::tempdir().unwrap();
    let tls = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tls");
    fs::create_dir_all(&tls).unwrap();
    let server = SmtpServer::start(&tls, Offers::Tls);
    let authority = portcullis::server::tls::authority_certificate(&tls);
    let url = format!("smtps://user:secret@localhost:{}", server.port);
    let settings = [("PORTCULLIS_SMTP_URL", url.as_str()), ("SSL_CERT_FILE", authority.to_str().unwrap())];
    let ids =
        || -> Vec<String> { server.in_tls.lock().unwrap().iter().filter_map(|line| line.strip_prefix("Message-ID: ")).map(str::to_owned).collect() };
    let ends = || server.in_tls.lock().unwrap().iter().filter(|line| *line == ".").count();

    server.is_silent.store(true, Ordering::Relaxed);
    let first = Running::start_with(folder.path(), &settings);
    for name in ["ada", "bob", "eve"] {
        let call = "curl -sS --cacert data/tls/ca.pem https://localhost:8443/v1/auth/register --json";
        first.shell(&format!("{call} '{{\"email\":\"{name}@example.org\"}}'"));
    }
    wait_until("the server has a letter", || ends() == 1);
    first.signal("-KILL");
    assert!(!first.end());
    let before = ids();
    server.is_silent.store(false, Ordering::Relaxed);

    let second = Running::start_with(folder.path(), &settings);
    // the dead process's claim would run out after two minutes
    let database = LocalPostgres::start(&folder.path().join("data/postgres"), &[]).await.unwrap();
    let mut owner = PgConnection::connect_with(&database.owner()).await.unwrap();
    sqlx::query("UPDATE outbox SET due_at = now()").execute(&mut owner).await.unwrap();
    wait_until("all letters are out", || ends() >= 4);
    let after = ids();
    assert!(before.iter().all(|id| after.iter().filter(|other| *other == id).count() >= 2), "the same letter again: {after:?}");
    assert_eq!(after.iter().collect::<BTreeSet<_>>().len(), 3, "three letters, each with one id: {after:?}");
    drop((owner, database));
    second.signal("-INT");
    assert!(second.end());
}

#[test]
fn an_administrator_is_made_beside_a_running_service() {
    let folder = tempfile::tempdir().unwrap();
    let service = Running::start(folder.path());
    let create = || portcullis(folder.path()).args(["admin", "create", "--email", "root@example.org"]).output().unwrap();
    let made = create();
    let said = String::from_utf8(made.stdout).unwrap();
    assert!(made.status.success(), "{said}{}", String::from_utf8_lossy(&made.stderr));
    let password = said.lines().find_map(|line| line.strip_prefix("password (shown this once): ")).unwrap();
    let call = "curl -sS --cacert data/tls/ca.pem https://localhost:8443";
    let body = format!("{{\"email\":\"root@example.org\",\"password\":\"{password}\"}}");
    service.shell(&format!("{call}/v1/auth/login --cookie-jar jar --json '{body}'"));
    assert!(service.shell(&format!("{call}/v1/users --cookie jar")).contains("\"roles\":[\"administrator\",\"member\"]"));

    let reset = || portcullis(folder.path()).args(["admin", "reset-second-factor", "--email", "root@example.org"]).output().unwrap();
    assert!(String::from_utf8_lossy(&reset().stderr).contains("has no second factor"));
    let as_root = |path: &str, body: &str| {
        let csrf = service.shell(&format!("{call}/v1/auth/csrf --cookie jar"));
        let csrf = serde_json::from_str::<serde_json::Value>(&csrf).unwrap()["csrf_token"].as_str().unwrap().to_owned();
        service.shell(&format!("{call}{path} --cookie jar --cookie-jar jar --header 'X-CSRF-Token: {csrf}' --json '{body}'"))
    };
    let read = |answer: &str| serde_json::from_str::<serde_json::Value>(answer).unwrap();
    let proof = read(&as_root("/v1/me/mailbox", "{}"))["proof_id"].as_str().unwrap().to_owned();
    let mut code = String::new();
    wait_until("the letter is there", || {
        code = service.shell("cat data/mail/*.eml 2>/dev/null | grep -o 'began: [0-9]*' | cut -d' ' -f2 | head -n 1 || true").trim().to_owned();
        code.len() == 8
    });
    as_root("/v1/me/mailbox/confirm", &format!("{{\"proof_id\":\"{proof}\",\"code\":\"{code}\"}}"));
    let begun = read(&as_root("/v1/me/mfa/totp", "{}"));
    let code = totp_rs::Totp::from_url(begun["otpauth_uri"].as_str().unwrap()).unwrap().generate_current().to_string();
    assert!(as_root("/v1/me/mfa/totp/confirm", &format!("{{\"code\":\"{code}\"}}")).contains("recovery_codes"));
    let sign_in = || service.shell(&format!("{call}/v1/auth/login --json '{body}'"));
    assert!(sign_in().contains("mfa_token"));
    let key = read(&as_root("/v1/me/api-keys", r#"{"name":"left","scopes":["users:read"]}"#))["key"].as_str().unwrap().to_owned();
    let by_key = || service.shell(&format!("{call}/v1/users --header 'Authorization: Bearer {key}'"));
    assert!(by_key().contains("items"));
    let done = reset();
    assert!(String::from_utf8_lossy(&done.stdout).contains("has no second factor any more"), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(sign_in().contains("session_id"));
    assert!(service.shell(&format!("{call}/v1/me --cookie jar")).contains("UNAUTHENTICATED"), "everybody is signed out");
    assert!(by_key().contains("INVALID_TOKEN"), "and so are the keys");

    let again = create();
    let said = String::from_utf8(again.stdout).unwrap();
    assert!(again.status.success() && said.contains("is an administrator") && !said.contains("password"), "{said}");
    let wrong = fails(portcullis(folder.path()).args(["admin", "create", "--email", "nobody"]));
    assert!(wrong.contains("--email is no e-mail address"), "{wrong}");
    service.signal("-TERM");
    assert!(service.end());
}

#[test]
fn a_health_check_says_why_it_cannot_ask() {
    let health = |listen: &str| fails(portcullis(Path::new(".")).arg("health").env("PORTCULLIS_OPERATOR_LISTEN", listen));
    assert!(health("junk").contains("PORTCULLIS_OPERATOR_LISTEN must be an address"));
    assert!(health("off").contains("PORTCULLIS_OPERATOR_LISTEN is off"));
    assert!(health("127.0.0.1:1").contains("nobody listens on 127.0.0.1:1"));
}
