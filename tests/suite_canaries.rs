//! After the suite: nothing that it used as a secret or an address is in what the service logged, and no secret is in what it stored.
//! `cargo test` runs this right after `suite`, whose log, list of canaries and databases it reads (practices 8.redaction, 2.no-plaintext).

use portcullis::platform::local_postgres::LocalPostgres;
use regex::{Regex, RegexBuilder};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{collections::BTreeSet, fs, path::PathBuf};

fn left_behind(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(left_behind(name)).unwrap_or_else(|error| panic!("run the suite first: {name}: {error}"))
}

/// The canaries of these kinds.
fn canaries(kinds: &[&str]) -> BTreeSet<(String, String)> {
    let all = text("canaries.jsonl");
    let all = all.lines().map(|line| serde_json::from_str::<(String, String)>(line).unwrap());
    all.filter(|(kind, _)| kinds.contains(&kind.as_str())).collect()
}

/// Finds any of them, as it is, as JSON writes it, and as Postgres shows bytes; a code only as a whole word, since it is short enough to
/// occur by chance.
fn any_of(canaries: &BTreeSet<(String, String)>) -> Regex {
    let patterns = canaries.iter().flat_map(|(kind, value)| {
        let plain = regex::escape(value);
        let in_json = serde_json::to_string(value).unwrap();
        let in_json = regex::escape(&in_json[1..in_json.len() - 1]);
        let bytes: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        match kind.as_str() {
            "code" => vec![format!(r"(?:^|[^\w.-]){plain}(?:[^\w.-]|$)")],
            _ => vec![plain, in_json, bytes],
        }
    });
    let patterns: BTreeSet<String> = patterns.collect();
    RegexBuilder::new(&patterns.into_iter().collect::<Vec<_>>().join("|")).size_limit(1 << 30).dfa_size_limit(1 << 30).build().unwrap()
}

#[test]
fn no_secret_and_no_address_of_the_suite_is_in_its_log() {
    let (used, log) = (canaries(&["secret", "code", "email"]), text("suite.log"));
    assert!(used.len() > 20 && log.lines().count() > 100, "{} canaries, {} lines", used.len(), log.lines().count());
    let any = any_of(&used);
    let leaks: Vec<&str> = log.lines().filter(|line| any.is_match(line)).take(5).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
    // the filter is the last line: our own records must not need it (the suite's own statements do)
    let saved: Vec<&str> = log.lines().filter(|line| line.contains("[redacted]") && line.contains("\"target\":\"portcullis")).take(5).collect();
    assert!(saved.is_empty(), "{saved:#?}");
}

#[tokio::test]
async fn no_secret_of_the_suite_is_in_its_databases() {
    // some chose their address as a password, and were refused
    let addresses: BTreeSet<String> = canaries(&["email"]).into_iter().map(|(_, address)| address).collect();
    let any = any_of(&canaries(&["secret", "code"]).into_iter().filter(|(_, value)| !addresses.contains(value)).collect());
    let cluster = LocalPostgres::start(&left_behind("postgres"), &["max_connections=300"]).await.unwrap();
    let mut superuser = PgConnection::connect_with(&cluster.superuser()).await.unwrap();
    let names: Vec<String> =
        sqlx::query_scalar("SELECT datname::text FROM pg_database WHERE datname LIKE 't\\_%'").fetch_all(&mut superuser).await.unwrap();
    let (mut rows, mut leaks) = (0, Vec::new());
    for name in &names {
        let mut connection = PgConnection::connect_with(&cluster.superuser().database(name)).await.unwrap();
        let tables: Vec<String> =
            sqlx::query_scalar("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'").fetch_all(&mut connection).await.unwrap();
        // names from the catalogue
        let dump = tables.iter().map(|table| format!("SELECT '{}: ' || t::text FROM {table} t", table.replace('\'', "''")));
        let dump = dump.collect::<Vec<_>>().join(" UNION ALL ");
        let lines: Vec<String> = sqlx::query_scalar(AssertSqlSafe(dump)).fetch_all(&mut connection).await.unwrap();
        rows += lines.len();
        leaks.extend(lines.into_iter().filter(|line| any.is_match(line)).take(3));
        connection.close().await.unwrap();
    }
    assert!(rows > 100, "{rows} rows in {} databases", names.len());
    assert!(leaks.is_empty(), "{leaks:#?}");
}
