//! The binary with everything that it says in files, for tests that read all of it.

use super::the_binary::{portcullis, wait_until};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command},
};

pub struct Watched {
    child: Child,
    folder: PathBuf,
}

impl Watched {
    /// Starts it in this folder, where its output goes, too.
    pub fn spawn(folder: &Path, settings: &[(&str, &str)]) -> Self {
        let file = |name| File::create(folder.join(name)).unwrap();
        let child = portcullis(folder).envs(settings.iter().copied()).stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap();
        Self { child, folder: folder.to_owned() }
    }

    /// The same, until it serves.
    pub fn start(folder: &Path, settings: &[(&str, &str)]) -> Self {
        let mut this = Self::spawn(folder, settings);
        wait_until("it serves", || {
            assert!(this.child.try_wait().unwrap().is_none(), "did not start: {}", this.said());
            this.said().contains("\"message\":\"serving\"")
        });
        this
    }

    /// All that it has said.
    pub fn said(&self) -> String {
        ["stdout", "stderr"].map(|name| fs::read_to_string(self.folder.join(name)).unwrap()).concat()
    }

    /// One of the addresses that it named when it began to serve.
    pub fn address(&self, name: &str) -> String {
        let said = self.said();
        let line = said.lines().find(|line| line.contains("\"message\":\"serving\"")).unwrap();
        serde_json::from_str::<serde_json::Value>(line).unwrap()[name].as_str().unwrap().to_owned()
    }

    /// What an operator is told under this path.
    pub fn operators(&self, path: &str) -> String {
        let output = Command::new("curl").args(["-sS", &format!("http://{}{path}", self.address("operators"))]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Whether it can serve.
    pub fn is_ready(&self) -> bool {
        self.operators("/readyz").contains("\"ok\"")
    }

    /// Its command line, as everybody on the machine sees it.
    pub fn command_line(&self) -> String {
        String::from_utf8_lossy(&fs::read(format!("/proc/{}/cmdline", self.child.id())).unwrap()).into_owned()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub fn end(&mut self) -> bool {
        assert!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success());
        wait_until("it ends", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap().success()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // a test that failed leaves nothing behind
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
