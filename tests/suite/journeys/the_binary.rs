//! The binary as an operator meets it: first start, second start, Ctrl-C, `kill -9`, and every way in which a start can fail. The
//! README's tour is run here as it is written.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

const DEADLINE: Duration = Duration::from_secs(60);

fn portcullis(folder: &Path) -> Command {
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

struct Running {
    child: Child,
    folder: PathBuf,
    port: String,
    banner: String,
    /// Keeps the pipe open and empty, so that the service can go on logging.
    _drain: std::thread::JoinHandle<()>,
}

impl Running {
    fn start(folder: &Path) -> Self {
        let mut child = portcullis(folder).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut banner = String::new();
        let mut port = None;
        for line in lines.by_ref() {
            let line = line.unwrap();
            if line.contains("\"message\":\"serving\"") {
                let record: serde_json::Value = serde_json::from_str(&line).unwrap();
                port = record["https"].as_str().unwrap().rsplit(':').next().map(str::to_owned);
            }
            banner.push_str(&line);
            banner.push('\n');
            if line.starts_with("Try: ") {
                break;
            }
        }
        let Some(port) = port else { panic!("did not start: {banner}{}", rest(&mut child)) };
        let _drain = std::thread::spawn(move || lines.for_each(drop));
        Self { child, folder: folder.to_owned(), port, banner, _drain }
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    fn end(mut self) -> bool {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            assert!(Instant::now() < deadline, "does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Runs a script as a person would paste it; gives back all that it printed.
    fn shell(&self, script: &str) -> String {
        let script = script.replace("localhost:8443", &format!("localhost:{}", self.port));
        let output = Command::new("bash").args(["-euo", "pipefail", "-c", &script]).current_dir(&self.folder).output().unwrap();
        assert!(output.status.success(), "{script}\n{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

fn rest(child: &mut Child) -> String {
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
    let tour = readme.split("```sh tour\n").nth(1).unwrap().split("```").next().unwrap();

    let first = Running::start(folder.path());
    for said in ["/docs", "/metrics", "socket in", "data/mail", "data/tls/ca.pem"] {
        assert!(first.banner.contains(said), "{said} is not in\n{}", first.banner);
    }
    let answers = first.shell(tour);
    let expected = ["proof_id", "account_id", "csrf_token", "\"name\":\"Ada\"", "CSRF_REJECTED", "\"name\":\"Countess Lovelace\"", "UNAUTHENTICATED"];
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

fn fails(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    let text = String::from_utf8(stderr).unwrap();
    assert!(!status.success() && status.code().is_some(), "{status}: {text}");
    assert!(text.starts_with("portcullis: ") && !text.contains("panicked") && !text.contains("backtrace"), "{text}");
    text
}

#[test]
fn a_start_that_cannot_be_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let wrong = fails(portcullis(folder).env("PORTCULLIS_BODY_LIMIT", "much").env("PORTCULLIS_COLOUR", "blue"));
    assert!(wrong.contains("PORTCULLIS_BODY_LIMIT must be") && wrong.contains("PORTCULLIS_COLOUR is no setting"), "{wrong}");

    let away = fails(portcullis(folder).env("DATABASE_URL", "postgres://nobody:canary@127.0.0.1:1/nothing"));
    assert!(away.contains("database") && away.contains("onnect") && !away.contains("canary"), "{away}");

    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let taken = fails(portcullis(folder).env("PORTCULLIS_HTTPS_LISTEN", &address));
    assert!(taken.contains(&format!("cannot listen on {address} (PORTCULLIS_HTTPS_LISTEN)")), "{taken}");

    fs::write(folder.join(".env"), "PORTCULLIS_BODY_LIMIT=7\n").unwrap();
    let from_file = fails(&mut portcullis(folder));
    assert!(from_file.contains("PORTCULLIS_BODY_LIMIT"), "{from_file}");
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
