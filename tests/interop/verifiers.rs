//! Other people's libraries verify our tokens, knowing nothing but where the public keys are: PyJWT and jose.
//!
//! `cargo test --features interop --test interop`; needs Node.js 20, npm, Python 3.11 with venv, and their package registries on the
//! first run. What is installed lies under `target/interop`.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const PYJWT: &str = "PyJWT[crypto]==2.15.1";
const JOSE: &str = "jose@6.2.18";

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Both peers, installed once.
fn peers() -> (PathBuf, PathBuf) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop");
    std::fs::create_dir_all(&folder).unwrap();
    let python = folder.join("venv/bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv")));
    }
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PYJWT]));
    let modules = folder.join("node");
    if !modules.join("node_modules/jose").exists() {
        run(Command::new("npm").args(["install", "--silent", "--no-fund", "--no-audit", "--ignore-scripts", "--prefix"]).arg(&modules).arg(JOSE));
    }
    (python, modules)
}

struct Service {
    child: std::process::Child,
    url: String,
    folder: tempfile::TempDir,
    _drain: std::thread::JoinHandle<()>,
}

impl Service {
    fn signing_with(algorithm: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = program(folder.path()).env("PORTCULLIS_TOKEN_ALGORITHM", algorithm).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let line = lines.by_ref().find(|line| line.contains("\"message\":\"serving\"")).expect("a start");
        let record: serde_json::Value = serde_json::from_str(&line).unwrap();
        let port = record["https"].as_str().unwrap().rsplit(':').next().unwrap();
        let url = format!("https://localhost:{port}");
        Self { child, url, folder, _drain: std::thread::spawn(move || lines.for_each(drop)) }
    }

    fn authority(&self) -> PathBuf {
        self.folder.path().join("data/tls/ca.pem")
    }

    fn access_token(&self) -> String {
        let made = run(program(self.folder.path()).args(["admin", "create", "--email", "root@example.org"]));
        let password = made.lines().find_map(|line| line.strip_prefix("password (shown this once): ")).unwrap();
        let body = format!(r#"{{"email":"root@example.org","password":"{password}","transport":"token"}}"#);
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--cacert"]).arg(self.authority()).args([&format!("{}/v1/auth/login", self.url), "--json", &body]);
        let said: serde_json::Value = serde_json::from_str(&run(&mut curl)).unwrap();
        said["access_token"].as_str().unwrap().to_owned()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.current_dir(folder).env("PORTCULLIS_LOG_FORMAT", "json").stdin(Stdio::null());
    for name in ["HTTPS", "HTTP", "OPERATOR"] {
        command.env(format!("PORTCULLIS_{name}_LISTEN"), "127.0.0.1:0");
    }
    command
}

#[test]
fn others_verify_our_tokens_through_the_published_keys_alone() {
    let (python, modules) = peers();
    let scripts = Path::new("tests/interop");
    for algorithm in ["EdDSA", "ES256", "RS256"] {
        let service = Service::signing_with(algorithm);
        let token = service.access_token();
        let altered = format!("{}{}", &token[..token.len() - 5], if token.ends_with("AAAAA") { "BBBBB" } else { "AAAAA" });
        let keys = format!("{}/.well-known/jwks.json", service.url);
        // the development certificate's name and the issuer are the same: the default public URL
        let issuer = "https://localhost:8443";
        for (token, expected) in [(&token, "root: aal1 pwd"), (&altered, "refused")] {
            let arguments = [keys.as_str(), issuer, algorithm, token];
            let mut with_python = Command::new(&python);
            with_python.arg(scripts.join("verify.py")).args(arguments).env("SSL_CERT_FILE", service.authority());
            assert_eq!(run(&mut with_python).trim(), expected, "PyJWT, {algorithm}");
            let mut with_node = Command::new("node");
            with_node.arg(scripts.join("verify.mjs")).args(arguments).env("NODE_EXTRA_CA_CERTS", service.authority());
            with_node.env("MODULES", &modules);
            assert_eq!(run(&mut with_node).trim(), expected, "jose, {algorithm}");
        }
    }
}
