//! Finds the machine's own Postgres binaries, or says how to get them.

use anyhow::Context;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The folder with `postgres` and `initdb`.
pub(super) fn find() -> anyhow::Result<PathBuf> {
    let from_path = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let from_config = Command::new("pg_config").arg("--bindir").output().ok().map(|out| PathBuf::from(String::from_utf8_lossy(&out.stdout).trim()));
    let mut packaged: Vec<PathBuf> = ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"]
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    // the newest version first
    packaged.sort_by_key(|path| std::cmp::Reverse(version_in(path)));
    from_path
        .into_iter()
        .chain(from_config)
        .chain(packaged)
        .find(|folder| folder.join("postgres").is_file() && folder.join("initdb").is_file())
        .with_context(|| {
            let install = if cfg!(target_os = "macos") {
                "brew install postgresql@17"
            } else if Path::new("/etc/debian_version").exists() {
                "sudo apt-get install postgresql"
            } else if Path::new("/etc/fedora-release").exists() {
                "sudo dnf install postgresql-server"
            } else if Path::new("/etc/arch-release").exists() {
                "sudo pacman -S postgresql"
            } else {
                "install Postgres 15 or newer by your system's packages"
            };
            format!(
                "found no Postgres binaries (looked in PATH, pg_config --bindir, /usr/lib/postgresql/*/bin, Homebrew). Do one of:\n  \
                 - {install}\n  - set DATABASE_URL to a database that you have\n  - docker compose up"
            )
        })
}

fn version_in(path: &Path) -> u32 {
    let digits: String =
        path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().chars().filter(char::is_ascii_digit).collect()).unwrap_or_default();
    digits.parse().unwrap_or_default()
}
