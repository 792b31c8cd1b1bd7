//! A running service, the built binary, with people in it; and what the peers are installed with.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub const EMAIL: &str = "ada@example.org";
pub const PASSWORD: &str = "wet gravel under a tin moon";

/// Quotas that a machine's pace does not meet: quotas have tests of their own.
pub const ROOMY: [(&str, &str); 29] = [
    ("PORTCULLIS_ADDRESS_QUOTA_BURST", "100000"),
    ("PORTCULLIS_ADDRESS_QUOTA_PER_SECOND", "10000"),
    ("PORTCULLIS_LOGIN_QUOTA", "1000"),
    ("PORTCULLIS_LOGIN_ACCOUNT_QUOTA", "10000"),
    ("PORTCULLIS_LOGIN_DEVICE_QUOTA", "1000"),
    ("PORTCULLIS_LOGIN_NETWORK_QUOTA", "100000"),
    ("PORTCULLIS_REAUTHENTICATION_QUOTA", "1000"),
    ("PORTCULLIS_LETTER_QUOTA", "100"),
    ("PORTCULLIS_LETTER_NETWORK_QUOTA", "100000"),
    ("PORTCULLIS_LETTER_COOLDOWN_SECONDS", "0"),
    ("PORTCULLIS_NEW_PASSWORD_QUOTA", "1000"),
    ("PORTCULLIS_INVITATION_QUOTA", "100000"),
    ("PORTCULLIS_ADDRESS_REQUESTS_IN_HAND", "10000"),
    ("PORTCULLIS_HANDSHAKE_TIMEOUT_SECONDS", "60"),
    ("PORTCULLIS_PERSON_QUOTA_BURST", "100000"),
    ("PORTCULLIS_PERSON_QUOTA_PER_SECOND", "10000"),
    ("PORTCULLIS_REFRESH_QUOTA", "10000"),
    ("PORTCULLIS_REFRESH_PERSON_QUOTA", "100000"),
    ("PORTCULLIS_REFRESH_NETWORK_QUOTA", "100000"),
    ("PORTCULLIS_WRONG_PROOF_QUOTA", "10000"),
    ("PORTCULLIS_PASSKEY_OPTIONS_QUOTA", "10000"),
    ("PORTCULLIS_WRONG_PASSKEY_QUOTA", "10000"),
    ("PORTCULLIS_MAILBOX_CODE_QUOTA", "1000"),
    ("PORTCULLIS_FACTOR_CHANGE_QUOTA", "1000"),
    ("PORTCULLIS_OAUTH_QUOTA", "100000"),
    ("PORTCULLIS_LETTER_ADDRESS_QUOTA", "99"),
    ("PORTCULLIS_LETTER_ADDRESS_DAY_QUOTA", "999"),
    ("PORTCULLIS_LETTER_DAY_QUOTA", "1000"),
    ("PORTCULLIS_LETTER_NETWORK_DAY_QUOTA", "1000000"),
];

pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Where the peers are.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Programs of the Python peers, `python` among them; installed once.
pub fn python(program: &str) -> Command {
    static INSTALLED: Mutex<bool> = Mutex::new(false);
    let venv = folder().join("venv");
    let mut installed = INSTALLED.lock().unwrap();
    if !*installed {
        if !venv.join("bin/python").exists() {
            run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
        }
        let mut pip = Command::new(venv.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]);
        // sslyze comes as source, in Python only
        run(pip.args(["--only-binary=:all:", "--no-binary=sslyze", "--requirement", "tests/interop/requirements.txt"]));
        *installed = true;
    }
    Command::new(venv.join("bin").join(program))
}

/// The folder with the Node.js peers; installed once.
pub fn node() -> PathBuf {
    static INSTALLED: Mutex<bool> = Mutex::new(false);
    let modules = folder().join("node");
    let mut installed = INSTALLED.lock().unwrap();
    if !*installed {
        std::fs::create_dir_all(&modules).unwrap();
        for name in ["package.json", "package-lock.json"] {
            std::fs::copy(Path::new("tests/interop").join(name), modules.join(name)).unwrap();
        }
        run(Command::new("npm").args(["ci", "--silent", "--no-fund", "--no-audit", "--ignore-scripts", "--prefix"]).arg(&modules));
        *installed = true;
    }
    modules
}

/// Ports that nobody has at this moment.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

pub struct Service {
    child: Child,
    pub url: String,
    pub port: String,
    folder: TempDir,
    settings: Vec<(String, String)>,
    _drain: thread::JoinHandle<()>,
}

impl Service {
    pub fn with(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings: Vec<(String, String)> = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let mut child = program(folder.path(), &settings).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let line = lines.by_ref().find(|line| line.contains("\"message\":\"serving\"")).expect("a start");
        let record: serde_json::Value = serde_json::from_str(&line).unwrap();
        let port = record["https"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
        let url = format!("https://localhost:{port}");
        Self { child, url, port, folder, settings, _drain: thread::spawn(move || lines.for_each(drop)) }
    }

    /// The most memory that it has ever had, in KiB.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        most.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("data/tls/ca.pem")
    }

    pub fn curl(&self, path: &str) -> Command {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--fail", "--max-time", "20", "--cacert"]).arg(self.authority()).arg(format!("{}{path}", self.url));
        curl
    }

    pub fn post(&self, path: &str, body: &str) -> serde_json::Value {
        serde_json::from_str(&run(self.curl(path).args(["--json", body]))).unwrap()
    }

    /// Makes an administrator; gives the password.
    pub fn administrator(&self) -> String {
        let made = run(program(self.folder.path(), &self.settings).args(["admin", "create", "--email", "root@example.org"]));
        made.lines().find_map(|line| line.strip_prefix("password (shown this once): ")).unwrap().to_owned()
    }

    /// Where its letters are.
    pub fn mail(&self) -> PathBuf {
        self.folder.path().join("data/mail")
    }

    /// What follows this in the first letter that has it; waits for it.
    pub fn in_a_letter(&self, before: &str, length: usize) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let letters = std::fs::read_dir(self.mail()).into_iter().flatten();
            let texts = letters.filter_map(|letter| std::fs::read_to_string(letter.unwrap().path()).ok());
            let found = texts.filter_map(|text| Some(text.split_once(before)?.1.chars().take(length).collect::<String>())).next();
            match found {
                Some(found) => return found,
                None => assert!(Instant::now() < deadline, "no letter came"),
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Registers [`EMAIL`] with [`PASSWORD`].
    pub fn member(&self) {
        self.post("/v1/auth/register", &format!(r#"{{"email":"{EMAIL}"}}"#));
        let token = self.in_a_letter("token=", 43);
        self.post("/v1/auth/register/complete", &format!(r#"{{"token":"{token}","name":"Ada","password":"{PASSWORD}"}}"#));
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

fn program(folder: &Path, settings: &[(String, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.current_dir(folder).env("PORTCULLIS_LOG_FORMAT", "json").stdin(Stdio::null());
    for name in ["HTTPS", "HTTP", "OPERATOR"] {
        command.env(format!("PORTCULLIS_{name}_LISTEN"), "127.0.0.1:0");
    }
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    command
}
