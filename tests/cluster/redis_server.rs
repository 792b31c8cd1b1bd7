//! A Redis of a test's own: on a free port of the loopback, in memory, ended with the test.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

pub struct RedisServer {
    port: u16,
    /// A file with who may do what, and the address of one who may.
    guard: Option<(PathBuf, String)>,
    process: Option<Child>,
    folder: tempfile::TempDir,
}

impl RedisServer {
    pub fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { port, guard: None, process: None, folder: tempfile::tempdir().unwrap() };
        server.revive();
        server
    }

    /// With the configuration in `ops`, and what `portcullis secrets --cluster` makes for it.
    pub fn guarded() -> (Self, tempfile::TempDir) {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let secrets = crate::nginx::secrets(&format!("127.0.0.1:{port}"));
        let url = std::fs::read_to_string(secrets.path().join("service/redis-url")).unwrap();
        let guard = Some((secrets.path().join("redis/users.acl"), url));
        let mut server = Self { port, guard, process: None, folder: tempfile::tempdir().unwrap() };
        server.revive();
        (server, secrets)
    }

    pub fn url(&self) -> String {
        self.guard.as_ref().map_or_else(|| format!("redis://127.0.0.1:{}/0", self.port), |(_, url)| url.clone())
    }

    /// Ends it at once, and what it knew with it.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts it, empty, where it was.
    pub fn revive(&mut self) {
        let start = |program: &str| {
            let mut command = Command::new(program);
            match &self.guard {
                Some((users, _)) => command.arg(std::fs::canonicalize("ops/valkey.conf").unwrap()).arg("--aclfile").arg(users),
                None => command.args(["--save", "", "--appendonly", "no"]),
            };
            command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"]);
            command.current_dir(self.folder.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
        };
        let process = start("redis-server").or_else(|_| start("valkey-server"));
        self.process = Some(process.unwrap_or_else(|error| panic!("these tests need redis-server or valkey-server in the path ({error})")));
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !self.answers() {
            assert!(std::time::Instant::now() < deadline, "redis-server does not answer on port {}", self.port);
            std::thread::yield_now();
        }
    }

    /// The guarded one lets nobody ping.
    fn answers(&self) -> bool {
        let opened = || redis::Client::open(self.url()).unwrap().get_connection();
        self.connection().is_some() || self.guard.is_some() && opened().is_ok()
    }

    fn connection(&self) -> Option<redis::Connection> {
        let mut connection = redis::Client::open(self.url()).unwrap().get_connection().ok()?;
        redis::cmd("PING").exec(&mut connection).ok()?;
        Some(connection)
    }

    /// Every key, and in how many milliseconds it ends; negative: never.
    pub fn keys(&self) -> Vec<(String, i64)> {
        let mut connection = self.connection().expect("it runs");
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
        keys.into_iter().map(|key| (key.clone(), redis::cmd("PTTL").arg(&key).query(&mut connection).unwrap())).collect()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
