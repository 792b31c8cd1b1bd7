//! slowhttptest holds connections open with heads, bodies and reads that never end; h2load asks as fast as it can over HTTP/2; a script
//! sends request after request and reads nothing. Somebody at another address is served all the same, from the same memory.

use crate::service::{Service, python};
use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What the bystander waits for an answer at most, on a machine with two busy cores.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long each attack lasts, in seconds.
const SECONDS: &str = "12";

/// Runs an attack and asks from another address meanwhile, four times a second. Gives what the attacker said.
fn bystander_is_served(service: &Service, attack: &mut Command) -> String {
    let attacker = attack.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap_or_else(|error| panic!("{attack:?}: {error}"));
    let attacker = thread::spawn(move || attacker.wait_with_output().unwrap());
    let (mut answers, mut worst) = (0, Duration::ZERO);
    while !attacker.is_finished() {
        let begun = Instant::now();
        let mut asked = service.curl("/.well-known/jwks.json");
        let answer = asked.args(["--interface", "127.0.0.2", "--output", "/dev/null", "--write-out", "%{http_code}"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&answer.stdout), "200", "{attack:?}: {}", String::from_utf8_lossy(&answer.stderr));
        worst = worst.max(begun.elapsed());
        answers += 1;
        thread::sleep(Duration::from_millis(250));
    }
    let output = attacker.join().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{attack:?}: {said}");
    assert!(answers > 10, "{attack:?} was over after {answers} answers: {said}");
    assert!(worst < PATIENCE, "{attack:?}: an answer took {worst:?}");
    said
}

/// Without colours.
fn plain(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').map_or("", |(_, rest)| rest))
}

#[test]
fn slow_clients_keep_nobody_out() {
    let service = Service::with(&[]);
    for (kind, arguments) in [
        ("slow heads", vec!["-H", "-i", "1", "-x", "24", "-t", "GET"]),
        ("slow bodies", vec!["-B", "-i", "1", "-x", "10", "-s", "8192", "-f", "application/json"]),
        ("slow reads", vec!["-X", "-w", "8", "-y", "16", "-n", "1", "-z", "32", "-k", "3"]),
    ] {
        let path = if kind == "slow reads" { "/docs/swagger-ui-bundle.js" } else { "/v1/auth/login" };
        let mut attack = Command::new("slowhttptest");
        attack.args(arguments).args(["-c", "400", "-r", "200", "-l", SECONDS, "-p", "3", "-u", &format!("{}{path}", service.url)]);
        let said = bystander_is_served(&service, &mut attack);
        // it got through to the service, which hung up on it
        let last = said.lines().rev().find_map(|line| line.split_once("closed:")).map_or_else(String::new, |(_, rest)| plain(rest));
        assert!(last.trim().parse::<u32>().is_ok_and(|closed| closed > 0), "{kind}: {last} {said}");
    }
}

#[test]
fn a_flood_over_http_2_keeps_nobody_out() {
    let service = Service::with(&[]);
    let mut flood = Command::new("h2load");
    flood.args(["--clients", "20", "--max-concurrent-streams", "20", "--duration", SECONDS, "--warm-up-time", "1"]);
    let said = bystander_is_served(&service, flood.arg(format!("{}/.well-known/jwks.json", service.url)));
    assert!(said.contains("Application protocol: h2"), "{said}");
    // of thousands a second its own quota let some through
    let statuses = said.lines().find(|line| line.starts_with("status codes:")).unwrap_or_default();
    assert!(!statuses.contains(" 0 4xx") && statuses.contains(" 0 5xx"), "{said}");
}

/// Sends over so many connections.
fn flat_out(what: &str, connections: &str, service: &Service) -> Command {
    let mut attack = python("python");
    attack.args(["tests/interop/flat_out_attacker.py", what, &service.port]).arg(service.authority()).args([connections, SECONDS]);
    attack
}

#[test]
fn requests_whose_answers_nobody_reads_fill_no_memory() {
    let service = Service::with(&[]);
    let mut attack = flat_out("requests", "10", &service);
    let before = service.memory();
    let said = bystander_is_served(&service, &mut attack);
    let sent = said.split_whitespace().next().and_then(|count| count.parse::<u32>().ok());
    assert!(sent.is_some_and(|sent| sent > 20_000), "{said}");
    // the most that it ever had: a request or two and a full buffer of output a connection
    let grown = service.memory() - before;
    assert!(grown < 64 << 10, "{grown} KiB more");
}

/// Each of them could be the end of a head, where reading pauses.
#[test]
fn a_refused_body_full_of_blank_lines_stops_nobody() {
    let service = Service::with(&[]);
    let said = bystander_is_served(&service, &mut flat_out("blank-lines", "60", &service));
    let sent = said.split_whitespace().next().and_then(|count| count.parse::<u32>().ok());
    assert!(sent.is_some_and(|sent| sent > 100_000), "{said}");
}
