//! The private cluster ends with its parent, also after `kill -9`, and the next command recovers; a second command adopts it.

use portcullis::platform::local_postgres::LocalPostgres;
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
        _ => {}
    }
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn migrate(folder: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .arg("migrate")
        .current_dir(folder)
        .env_remove("DATABASE_URL")
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

fn is_running(folder: &Path) -> bool {
    // root's cluster is one folder deeper, in one that the `postgres` user owns
    ["data/postgres/cluster", "data/postgres/server/cluster"].iter().any(|cluster| folder.join(cluster).join("postmaster.pid").exists())
}

#[test]
fn the_cluster_ends_after_kill_nine_and_the_next_command_recovers() {
    let folder = folder("kill_nine");
    let mut first = migrate(&folder);
    wait_until("Postgres runs", || is_running(&folder));
    first.kill().unwrap();
    first.wait().unwrap();
    wait_until("Postgres has gone", || !is_running(&folder));
    assert!(migrate(&folder).wait().unwrap().success());
    assert!(!is_running(&folder), "a command that ends leaves no server behind");
}

#[tokio::test]
async fn a_second_command_adopts_the_running_cluster_and_leaves_it_running() {
    let folder = folder("adopted");
    let owner = LocalPostgres::start(&folder.join("data/postgres"), &[]).await.unwrap();
    let commands: Vec<Child> = (0..3).map(|_| migrate(&folder)).collect();
    for mut command in commands {
        assert!(command.wait().unwrap().success());
    }
    assert!(is_running(&folder));
    drop(owner);
    assert!(!is_running(&folder));
}

#[test]
fn commands_that_start_together_on_a_fresh_folder_all_succeed() {
    let folder = folder("together");
    let commands: Vec<Child> = (0..4).map(|_| migrate(&folder)).collect();
    for mut command in commands {
        assert!(command.wait().unwrap().success());
    }
    assert!(!is_running(&folder));
}

/// Whether the shell that starts Postgres runs; where that cannot be seen, whether Postgres does.
fn has_begun(folder: &Path) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return is_running(folder) };
    let folder = folder.canonicalize().unwrap();
    processes.filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok()).any(|line| {
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains("portcullis-watchdog") && line.contains(folder.to_str().unwrap())
    })
}

/// The order to stop comes in the moment in which Postgres starts and does not listen to signals yet.
#[test]
fn an_order_to_stop_in_the_first_moment_is_not_lost() {
    let folder = folder("first_moment");
    for _ in 0..4 {
        let mut service = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .current_dir(&folder)
            .env_remove("DATABASE_URL")
            .envs(["HTTPS", "HTTP", "OPERATOR"].map(|name| (format!("PORTCULLIS_{name}_LISTEN"), "127.0.0.1:0")))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("Postgres begins", || has_begun(&folder));
        assert!(Command::new("kill").args(["-INT", &service.id().to_string()]).status().unwrap().success());
        let deadline = Instant::now() + Duration::from_secs(20);
        while service.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "hangs");
            std::thread::yield_now();
        }
        wait_until("Postgres has gone", || !is_running(&folder));
    }
}
