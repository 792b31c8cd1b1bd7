//! node-oidc-provider, as a process of its own.

use crate::service::node;
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    thread,
};

/// What the service calls itself there, and its secret.
pub const CLIENT: &str = "portcullis";
pub const SECRET: &str = "the right one, of many letters";

pub struct Provider(Child);

impl Provider {
    /// Listens on this port of this machine, and sends people back to this page.
    pub fn start(port: u16, redirect: &str) -> Self {
        let modules = node();
        let mut command = Command::new("node");
        command
            .arg("tests/interop/openid_provider.mjs")
            .env("MODULES", modules)
            .env("PORT", port.to_string())
            .env("REDIRECT", redirect)
            .env("CLIENT", CLIENT)
            .env("SECRET", SECRET);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().expect("a start").unwrap(), "listening");
        // it would die of a pipe that nobody reads
        thread::spawn(move || lines.for_each(drop));
        Self(child)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
