//! `portcullis check` fills in the guide's table: each check is seen to hold and to fall short, a start says the same, what is waived
//! stays visible, and no secret is shown.

use crate::{
    journeys::the_binary::{fails, portcullis},
    support::{
        chain::AuditLog,
        deployed::{Deployed, PASSWORD},
        log,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use portcullis::{
    cli::check::{
        facts::{Facts, SecretFile, open_bodies},
        report::Report,
        rows::{ROWS, Verdict, Weight, named},
    },
    platform::{clock::Clock, crypto},
    server::tls::inspect::Issuer,
    settings::list::SETTINGS,
};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, HashMap},
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::Command,
};
use time::Duration;

const ASPECTS: [&str; 13] = [
    "Authentication",
    "Authorization",
    "Input Validation",
    "Secrets Management",
    "Rate Limiting",
    "HTTPS",
    "Secure Headers",
    "CORS",
    "Error Handling",
    "Logging",
    "CSRF",
    "Dependency Security",
    "Session Management",
];

type Values = HashMap<String, String>;

/// Without a database that answers, and with a certificate.
fn production(folder: &Path) -> Values {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["accounts.example.com".to_owned(), "*.example.net".to_owned()]).unwrap();
    let (certificate, key_file) = (folder.join("certificate.pem"), folder.join("key.pem"));
    fs::write(&certificate, params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&key_file, key.serialize_pem()).unwrap();
    let fine = [
        ("PORTCULLIS_ENV", "production"),
        ("DATABASE_URL", "postgres://service:Vb7kQ2mZx9TfLw4RnJ8c@127.0.0.1:1/portcullis"),
        ("PORTCULLIS_KEY_ENCRYPTION_KEY", "3q2+7wH1Jm0Yb8rN5xKfPzQvUoWc4TgLsAiEdRjXh9k="),
        ("PORTCULLIS_MAIL_FROM", "Accounts <accounts@example.com>"),
        ("PORTCULLIS_PUBLIC_URL", "https://accounts.example.com"),
        ("PORTCULLIS_SMTP_URL", "smtps://accounts:Hc5rWq8nYt3LkVd6Bz@mail.internal"),
        ("PORTCULLIS_TLS_CERTIFICATE_FILE", certificate.to_str().unwrap()),
        ("PORTCULLIS_TLS_KEY_FILE", key_file.to_str().unwrap()),
    ];
    fine.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn changed(values: &Values, changes: &[(&str, &str)]) -> Values {
    let mut values = values.clone();
    values.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    values.retain(|_, value| !value.is_empty());
    values
}

async fn facts(values: &Values) -> Facts {
    Facts::gather(values.clone().into_iter().collect(), &Clock::system(), true).await
}

fn verdict(report: &Report, name: &str) -> (Verdict, String) {
    let outcome = report.outcomes().find(|outcome| outcome.check.name == name).unwrap_or_else(|| panic!("{name} is no check"));
    (outcome.finding.verdict, outcome.finding.says.join("; "))
}

fn falls_short(facts: &Facts, name: &str, words: &str) {
    let (verdict, says) = verdict(&Report::of(facts), name);
    assert!(verdict == Verdict::FallsShort && says.contains(words), "{name}: {words} is not in {verdict:?}: {says}");
}

fn holds(facts: &Facts, name: &str) {
    let (verdict, says) = verdict(&Report::of(facts), name);
    assert_eq!(verdict, Verdict::Holds, "{name}: {says}");
}

type Changes<'a> = &'a [(&'a str, &'a str)];

/// What a setting alone decides: the check, the setting with a value with which it falls short, and words of the finding.
const BY_SETTINGS: &[(&str, Changes<'_>, &str)] = &[
    ("authentication.tokens", &[("PORTCULLIS_ACCESS_TOKEN_SECONDS", "901")], "must be a whole number from 60 to 900"),
    ("authentication.passwords", &[("PORTCULLIS_ARGON2_MEMORY_KIB", "1024")], "below OWASP's minimum"),
    ("authentication.mailbox", &[("PORTCULLIS_PROOF_MINUTES", "60")], "PORTCULLIS_PROOF_MINUTES is 60, more than 15"),
    ("authentication.second-factor", &[("PORTCULLIS_SECOND_FACTOR_RESET_HOURS", "72")], "is 72, more than 24"),
    ("authentication.federation", &[("PORTCULLIS_TOKEN_ISSUERS", "none")], "PORTCULLIS_TOKEN_ISSUERS"),
    ("authentication.api-keys", &[("PORTCULLIS_API_KEY_DAYS", "730")], "is 730, more than 365"),
    ("authentication.webhooks", &[("PORTCULLIS_WEBHOOK_TOLERANCE_SECONDS", "301")], "is 301, more than 300"),
    ("authorization.policies", &[("PORTCULLIS_POLICIES", "/nowhere")], "cannot use the policies"),
    ("authorization.owner-login", &[("PORTCULLIS_OWNER_DATABASE_URL", "postgres://owner@localhost/p")], "for `portcullis migrate` alone"),
    ("input.settings", &[("PORTCULLIS_COLOUR", "blue")], "PORTCULLIS_COLOUR is no setting"),
    ("input.sizes", &[("PORTCULLIS_BODY_LIMIT", "10485760")], "is 10485760, more than 1048576"),
    ("input.times", &[("PORTCULLIS_IDLE_TIMEOUT_SECONDS", "3600")], "is 3600, more than 120"),
    ("secrets.strength", &[("REDIS_URL", "rediss://:changeme@cache.internal")], "REDIS_URL looks like a placeholder"),
    ("limits.ordinary", &[("PORTCULLIS_PERSON_QUOTA_BURST", "100000")], "is 100000, more than 1200"),
    ("limits.sensitive", &[("PORTCULLIS_LOGIN_QUOTA", "101")], "PORTCULLIS_LOGIN_QUOTA is 101, more than 100"),
    ("limits.share", &[("PORTCULLIS_ADDRESS_REQUESTS_IN_HAND", "501")], "more than half of PORTCULLIS_REQUESTS_IN_HAND"),
    ("https.ended", &[("PORTCULLIS_TLS", "off")], "PORTCULLIS_TLS must be on, acme or proxy"),
    ("https.versions", &[("PORTCULLIS_TLS_PROFILE", "old")], "must be modern or intermediate"),
    ("https.certificate", &[("PORTCULLIS_TLS_CERTIFICATE_FILE", "/nowhere.pem")], "cannot read certificates from /nowhere.pem"),
    (
        "https.certificate-name",
        &[("PORTCULLIS_PUBLIC_URL", "https://login.example.org")],
        "is for accounts.example.com, *.example.net, not for login.example.org",
    ),
    ("https.public-url", &[("PORTCULLIS_PUBLIC_URL", "https://localhost:8443")], "leads to localhost"),
    ("https.clear-text", &[("PORTCULLIS_HTTP_CALLS", "answer")], "must be redirect or refuse"),
    ("https.operators", &[("PORTCULLIS_OPERATOR_LISTEN", "203.0.113.7:9464")], "203.0.113.7, a public address"),
    (
        "https.database",
        &[("DATABASE_URL", "postgres://service:Vb7kQ2mZx9TfLw4RnJ8c@192.0.2.1:1/p?sslmode=require")],
        "without TLS that knows the server",
    ),
    ("https.redis", &[("REDIS_URL", "redis://:Wm4tYp8sKz2QvXc6Ln@cache.internal")], "REDIS_URL goes over a network without TLS"),
    ("cors.origins", &[("PORTCULLIS_CORS_ORIGINS", "*")], "PORTCULLIS_CORS_ORIGINS: *"),
    ("cors.same-site", &[("PORTCULLIS_CORS_ORIGINS", "https://app.example.com, https://example.org")], "https://example.org shares no site"),
    ("errors.reports", &[("PORTCULLIS_SENTRY_DSN", "http://key@sentry.example/1")], "PORTCULLIS_SENTRY_DSN must be like https://"),
    ("logging.level", &[("PORTCULLIS_LOG", "info,sqlx=debug")], "debug or trace"),
    ("logging.level", &[("PORTCULLIS_LOG", "error")], "lets through error at most"),
    ("logging.format", &[("PORTCULLIS_LOG_FORMAT", "pretty")], "is pretty"),
    ("logging.addresses", &[("PORTCULLIS_SESSION_ADDRESS", "full")], "is full"),
    ("logging.alerts", &[("PORTCULLIS_ALERT_PROBED_THINGS", "10000")], "is 10000, more than 300"),
    ("sessions.cookies", &[("PORTCULLIS_SESSION_IDLE_MINUTES", "61")], "is 61, more than 30"),
    ("sessions.cookies", &[("PORTCULLIS_SESSION_ABSOLUTE_HOURS", "25")], "is 25, more than 24"),
    ("sessions.tokens", &[("PORTCULLIS_REFRESH_ABSOLUTE_DAYS", "31")], "is 31, more than 30"),
    ("sessions.step-up", &[("PORTCULLIS_STEP_UP_MINUTES", "60")], "is 60, more than 15"),
];

/// What is seen with something spoiled, below.
const BY_FACTS: &[&str] = &[
    "authorization.administrator",
    "authorization.database",
    "authorization.database-login",
    "authorization.second-factor-roles",
    "dependencies.postgres",
    "https.certificate-chain",
    "https.certificate-time",
    "input.bodies",
    "input.schema",
    "limits.buckets",
    "limits.database-connections",
    "limits.store",
    "logging.audit-chain",
    "logging.audit-rows",
    "secrets.sources",
    "secrets.environment",
    "secrets.key-encryption-key",
    "secrets.rotation",
    "sessions.clock",
];

#[test]
fn the_rows_are_the_guides_and_every_check_is_tried() {
    assert_eq!(ROWS.iter().map(|row| row.aspect).collect::<Vec<_>>(), ASPECTS);
    let checks: Vec<_> = ROWS.iter().flat_map(|row| row.checks.iter().map(move |check| (row, check))).collect();
    let names: BTreeSet<&str> = checks.iter().map(|(_, check)| check.name).collect();
    assert_eq!(names.len(), checks.len(), "a name twice");
    let mut tried: BTreeSet<&str> = BY_SETTINGS.iter().map(|(name, ..)| *name).chain(BY_FACTS.iter().copied()).collect();
    for (row, check) in checks {
        assert!(check.name.strip_prefix(row.name).is_some_and(|rest| rest.starts_with('.')), "{} is not of {}", check.name, row.name);
        for name in check.settings {
            assert!(SETTINGS.iter().any(|setting| setting.name == *name), "{}: {name} is no setting", check.name);
        }
        if let Some(tests) = check.shown_by {
            assert!(Path::new(tests).exists(), "{}: {tests}", check.name);
            tried.insert(check.name);
        }
    }
    // nobody can tell
    tried.insert("dependencies.advisories");
    assert_eq!(names, tried);
}

#[tokio::test]
async fn each_setting_that_falls_short_is_found_by_its_check_and_by_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let values = production(folder.path());
    let good = facts(&values).await;
    let good_report = Report::of(&good);
    for (name, changes, words) in BY_SETTINGS {
        let (verdict_before, says) = verdict(&good_report, name);
        assert_eq!(verdict_before, Verdict::Holds, "{name}: {says}");
        let facts = facts(&changed(&values, changes)).await;
        falls_short(&facts, name, words);
        let report = Report::of(&facts);
        let twice = report.outcomes().filter(|outcome| outcome.finding.says.iter().any(|says| says.contains(words))).count();
        assert_eq!(twice, 1, "{name}: {words}");
        let is_refused = report.refusals().iter().any(|refusal| refusal.contains(words));
        let weight = named(name).unwrap().weight;
        let (is_read, is_heavy) = (facts.settings.is_ok(), weight == Weight::Refuse);
        assert_eq!(is_refused, !is_read || is_heavy, "{name}: {:?}", report.refusals());
    }
    // without anybody who ends TLS here, nobody can tell what is agreed on
    let proxy = [
        ("PORTCULLIS_TLS", "proxy"),
        ("PORTCULLIS_TRUSTED_PROXIES", "10.0.0.0/8"),
        ("PORTCULLIS_TLS_CERTIFICATE_FILE", ""),
        ("PORTCULLIS_TLS_KEY_FILE", ""),
    ];
    let facts = facts(&changed(&values, &proxy)).await;
    for name in ["https.versions", "https.certificate", "https.certificate-name", "https.certificate-time", "https.certificate-chain"] {
        assert_eq!(verdict(&Report::of(&facts), name).0, Verdict::CannotTell, "{name}");
    }
    holds(&facts, "https.ended");
}

#[tokio::test]
async fn what_settings_lead_to_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let values = production(folder.path());
    let mut facts = facts(&values).await;
    falls_short(&facts, "authorization.database", "DATABASE_URL: cannot be reached");
    let (_, says) = verdict(&Report::of(&facts), "authorization.database");
    assert!(!says.contains("Vb7k"), "{says}");

    for name in ["input.bodies", "limits.buckets", "limits.store", "secrets.sources"] {
        holds(&facts, name);
    }
    assert!(facts.open_bodies.is_empty());
    let document = json!({ "paths": { "/x": { "post": { "requestBody": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/X" } } } } } } },
        "components": { "schemas": { "X": { "type": "object" } } } });
    facts.open_bodies = open_bodies(&document);
    falls_short(&facts, "input.bodies", "POST /x takes fields that it does not know");
    facts.has_buckets = false;
    falls_short(&facts, "limits.buckets", "feature `governor`");
    facts.files.push(SecretFile { setting: "PORTCULLIS_SMTP_URL_FILE".into(), mode: 0o100_664 });
    falls_short(&facts, "secrets.sources", "PORTCULLIS_SMTP_URL_FILE: the file can be written by others than its owner (mode 664)");

    let certificate = facts.certificate.as_mut().unwrap().as_mut().unwrap();
    assert_eq!(certificate.issuer, Issuer::Itself);
    assert!(certificate.is_for("ACCOUNTS.example.com") && certificate.is_for("a.example.net"));
    assert!(!certificate.is_for("example.net") && !certificate.is_for("a.b.example.net") && !certificate.is_for(".example.net"));
    falls_short(&facts, "https.certificate-chain", "vouches for itself");
    holds(&facts, "https.certificate-time");
    let now = facts.now;
    for (starts, ends, words) in [(-1, 13, "in 13 days"), (-2, -1, "ended at"), (1, 90, "is not good before")] {
        let certificate = facts.certificate.as_mut().unwrap().as_mut().unwrap();
        (certificate.starts_at, certificate.ends_at) = (now + Duration::days(starts), now + Duration::days(ends) + Duration::HOUR);
        falls_short(&facts, "https.certificate-time", words);
    }
    for (issuer, expected) in [
        (Issuer::Public, Verdict::Holds),
        (Issuer::Unknown, Verdict::CannotTell),
        (Issuer::OutOfTime, Verdict::CannotTell),
        (Issuer::Nobody("torn".into()), Verdict::FallsShort),
    ] {
        facts.certificate.as_mut().unwrap().as_mut().unwrap().issuer = issuer;
        assert_eq!(verdict(&Report::of(&facts), "https.certificate-chain").0, expected);
    }
    // a certificate and the key of another one
    fs::write(folder.path().join("key.pem"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    falls_short(&self::facts(&values).await, "https.certificate", "do not belong together");

    // a Redis that is not there
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://:Wm4tYp8sKz2QvXc6Ln@{}", listener.local_addr().unwrap());
    drop(listener);
    let facts = self::facts(&changed(&values, &[("REDIS_URL", &url)])).await;
    falls_short(&facts, "limits.store", "REDIS_URL: nothing there takes a value");
    holds(&facts, "https.redis");
}

/// A database with a login of the service, and a few events in its chain. Nobody runs on it.
struct Deployment {
    log: AuditLog,
    deployed: Deployed,
    values: Values,
    folder: tempfile::TempDir,
}

impl Deployment {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = AuditLog::of(&[2]).await;
        let deployed = Deployed::of(log.t.clone()).await;
        let own = [("DATABASE_URL", &*deployed.url(PASSWORD)), ("PORTCULLIS_KEY_ENCRYPTION_KEY", &*deployed.key())];
        let values = changed(&production(folder.path()), &own);
        Self { log, deployed, values, folder }
    }

    async fn sql(&mut self, statement: &str) {
        self.deployed.sql(statement).await;
    }

    async fn facts(&self) -> Facts {
        facts(&self.values).await
    }

    async fn end(self) {
        self.deployed.end().await;
    }
}

#[tokio::test]
async fn a_deployment_is_judged_by_what_is_in_its_database() {
    let mut d = Deployment::new().await;
    let facts = d.facts().await;
    for name in [
        "authorization.database",
        "authorization.database-login",
        "dependencies.postgres",
        "input.schema",
        "limits.database-connections",
        "logging.audit-chain",
        "logging.audit-rows",
        "secrets.environment",
        "secrets.key-encryption-key",
        "secrets.rotation",
        "sessions.clock",
    ] {
        holds(&facts, name);
    }
    falls_short(&facts, "authorization.administrator", "there is no administrator");
    falls_short(&facts, "authorization.second-factor-roles", "counts without a second factor");
    let (code, _, errors) = said(&mut run(&d.values, &["admin", "create", "--email", "root@example.org"], d.folder.path()));
    assert_eq!(code, Some(0), "{errors}");
    d.sql("UPDATE roles SET requires_second_factor = true WHERE name = 'administrator'").await;
    holds(&d.facts().await, "authorization.administrator");
    holds(&d.facts().await, "authorization.second-factor-roles");

    // what Postgres says of itself
    let mut facts = d.facts().await;
    let deployed = |facts: &mut Facts, change: &dyn Fn(&mut portcullis::cli::check::facts::Deployed)| {
        change(facts.database.as_mut().unwrap().as_mut().unwrap_or_else(|reason| panic!("{reason}")));
    };
    deployed(&mut facts, &|found| found.inspected.server.version = 140_012);
    falls_short(&facts, "dependencies.postgres", "Postgres 14.12 is older than 15");
    deployed(&mut facts, &|found| found.inspected.server.version = 150_004);
    facts.now = time::macros::datetime!(2027-11-12 00:00 UTC);
    falls_short(&facts, "dependencies.postgres", "has not been mended since 2027-11-11");
    deployed(&mut facts, &|found| found.inspected.server.version = 990_001);
    assert_eq!(verdict(&Report::of(&facts), "dependencies.postgres").0, Verdict::CannotTell);
    deployed(&mut facts, &|found| found.inspected.server.ahead = Duration::seconds(-6));
    falls_short(&facts, "sessions.clock", "6 seconds behind");
    deployed(&mut facts, &|found| found.inspected.server.connections = 41);
    falls_short(&facts, "limits.database-connections", "on 2 nodes is 42 in all: the database has 41");
    d.sql(&format!("ALTER ROLE {} CONNECTION LIMIT 41", d.deployed.login)).await;
    falls_short(&d.facts().await, "limits.database-connections", "the database has 41");

    // grants
    d.sql("GRANT TRUNCATE ON audit_events TO portcullis_runtime").await;
    falls_short(&d.facts().await, "logging.audit-rows", "the role portcullis_runtime may change audit events");
    d.sql("REVOKE TRUNCATE ON audit_events FROM portcullis_runtime").await;
    d.sql(&format!("ALTER ROLE {} CREATEDB", d.deployed.login)).await;
    falls_short(&d.facts().await, "authorization.database-login", "its login may create databases");
    d.sql(&format!("ALTER ROLE {} SUPERUSER", d.deployed.login)).await;
    let facts = d.facts().await;
    falls_short(&facts, "authorization.database-login", "its login is a superuser");
    falls_short(&facts, "logging.audit-rows", "as superusers may");
    d.sql(&format!("ALTER ROLE {} NOSUPERUSER NOCREATEDB", d.deployed.login)).await;

    d.sql("UPDATE deployment SET environment = 'development'").await;
    falls_short(&d.facts().await, "secrets.environment", "DATABASE_URL: it belongs to development");
    d.sql("UPDATE deployment SET environment = 'production'").await;

    // keys and the chain
    d.sql("UPDATE keyring SET changed_at = now() - interval '32 days' WHERE purpose = 'token_signing' AND state = 'active'").await;
    falls_short(&d.facts().await, "secrets.rotation", "token_signing v1 is in use since");
    d.log.write(1).await;
    d.sql("UPDATE audit_unchained SET at = now() - interval '11 minutes'").await;
    falls_short(&d.facts().await, "logging.audit-chain", "the oldest for 11 minutes");
    d.log.chain().await.unwrap();
    holds(&d.facts().await, "logging.audit-chain");
    d.sql("UPDATE audit_heads SET signature = decode(repeat('00', 64), 'hex')").await;
    falls_short(&d.facts().await, "logging.audit-chain", "does not end with its signed head");
    let key = STANDARD.encode(crypto::random::<32>());
    falls_short(&facts_with(&d, &[("PORTCULLIS_KEY_ENCRYPTION_KEY", &key)]).await, "secrets.key-encryption-key", "it belongs to another database");

    d.sql("DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)").await;
    falls_short(&d.facts().await, "input.schema", "DATABASE_URL: the schema is behind this binary");
    d.sql("DROP TABLE user_roles CASCADE").await;
    assert_eq!(verdict(&Report::of(&d.facts().await), "authorization.administrator").0, Verdict::CannotTell, "one that cannot be asked");
    d.end().await;
}

async fn facts_with(d: &Deployment, changes: &[(&str, &str)]) -> Facts {
    facts(&changed(&d.values, changes)).await
}

fn run(values: &Values, arguments: &[&str], folder: &Path) -> Command {
    let mut command = portcullis(folder);
    command.args(arguments).env_remove("PORTCULLIS_LOG_FORMAT").envs(values);
    command
}

fn said(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

const EASED: &str = "authorization.administrator, authorization.second-factor-roles, https.certificate-chain";

#[tokio::test]
async fn the_exit_code_tells_and_a_start_refuses_in_the_same_words() {
    let mut d = Deployment::new().await;
    let folder = tempfile::tempdir().unwrap();
    // all holds, but for what was waived
    let fine = changed(&d.values, &[("PORTCULLIS_WAIVED", EASED)]);
    let (code, text, errors) = said(&mut run(&fine, &["check"], folder.path()));
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{text}");
    assert!(text.contains("Nothing speaks against production") && !text.contains('\u{1b}'), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    for name in EASED.split(", ") {
        assert!(text.contains(&format!("waived       {name}, which falls short")), "{name}: {text}");
    }
    let (strict, _, errors) = said(&mut run(&fine, &["check", "--strict"], folder.path()));
    assert!(strict == Some(1) && errors.contains("nobody can tell of ") && errors.contains("dependencies.advisories"), "{strict:?} {errors}");
    let told = "PORTCULLIS_ENV is not `production` here";
    assert!(!text.contains(told), "{text}");
    let (code, text, _) = said(run(&fine, &["check"], folder.path()).env_remove("PORTCULLIS_ENV"));
    assert!(code == Some(0) && text.contains(told), "{code:?} {text}");
    let (code, ..) = said(&mut run(&d.values, &["check"], folder.path()));
    assert_eq!(code, Some(1));
    fs::write(folder.path().join(".env"), "PORTCULLIS_ENV=production\n").unwrap();
    let (code, text, errors) = said(run(&fine, &["check"], folder.path()).env_remove("PORTCULLIS_ENV"));
    assert!(code == Some(2) && text.is_empty() && errors.contains(".env is for development"), "{code:?} {errors}");
    fs::remove_file(folder.path().join(".env")).unwrap();

    d.sql(&format!("ALTER ROLE {} SUPERUSER", d.deployed.login)).await;
    let wrong = [("PORTCULLIS_WORKERS", "0"), ("PORTCULLIS_SMTP_URL", "smtps://a:secret@mail"), ("PORTCULLIS_BODY_LIMIT", "1048577")];
    let wrong = changed(&d.values, &wrong);
    let (code, text, _) = said(&mut run(&wrong, &["check", "--json"], folder.path()));
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, report["start"].as_str(), report["verdict"].as_str()), (Some(1), Some("refuses"), Some("falls short")));
    let refused = fails(&mut run(&wrong, &[], folder.path()));
    let mut told = 0;
    for check in report["rows"].as_array().unwrap().iter().flat_map(|row| row["checks"].as_array().unwrap()) {
        let is_refused = check["verdict"] == "falls short" && check["weight"] == "refuse" && check["waived"] == false;
        for finding in check["findings"].as_array().unwrap() {
            let line = format!("  - {} ({})", finding.as_str().unwrap(), check["name"].as_str().unwrap());
            assert_eq!(refused.lines().any(|said| said == line), is_refused, "{line} in\n{refused}");
            told += usize::from(is_refused);
        }
    }
    assert_eq!(refused.lines().filter(|line| line.starts_with("  - ")).count(), told, "nothing else is refused:\n{refused}");
    assert!(told >= 4, "{refused}");
    d.end().await;
}

#[tokio::test]
async fn what_is_waived_lets_a_start_go_on_and_is_told() {
    let mut d = Deployment::new().await;
    let folder = tempfile::tempdir().unwrap();
    let values = |waived: &str, d: &Deployment| changed(&d.values, &[("PORTCULLIS_WAIVED", waived), ("PORTCULLIS_SESSION_ADDRESS", "full")]);
    for (waived, words) in [
        ("secrets.strength", "PORTCULLIS_WAIVED: secrets.strength cannot be waived"),
        ("authorization.policies", "PORTCULLIS_WAIVED: authorization.policies cannot be waived"),
        ("csrf", "PORTCULLIS_WAIVED: nothing of csrf can be waived"),
        ("https.everything", "PORTCULLIS_WAIVED: https.everything is no check and no row"),
    ] {
        for environment in ["production", "development"] {
            let refused = fails(run(&values(waived, &d), &[], folder.path()).env("PORTCULLIS_ENV", environment));
            assert!(refused.contains(words), "{environment}: {refused}");
        }
        falls_short(&facts(&values(waived, &d)).await, "input.settings", words);
    }
    // what cannot be read is not waived with its row
    let broken = changed(&values("authentication", &d), &[("PORTCULLIS_PROOF_MINUTES", "0")]);
    assert!(fails(&mut run(&broken, &[], folder.path())).contains("PORTCULLIS_PROOF_MINUTES must be"));

    d.sql(&format!("ALTER ROLE {} SUPERUSER", d.deployed.login)).await;
    let refused = fails(&mut run(&values("logging.audit-rows", &d), &[], folder.path()));
    assert!(refused.contains("its login is a superuser") && refused.contains("(authorization.database-login)"), "{refused}");
    assert!(!refused.contains("logging.audit-rows"), "{refused}");
    let waived = values("logging.audit-rows, authorization", &d);
    let (_, text, _) = said(&mut run(&waived, &["check"], folder.path()));
    assert!(text.contains("waived       authorization.database-login, which falls short") && text.contains("its login is a superuser"), "{text}");
    let mut service = run(&waived, &[], folder.path()).spawn().unwrap();
    let mut log = String::new();
    for line in BufReader::new(service.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let is_up = line.contains("\"message\":\"serving\"");
        log.push_str(&line);
        log.push('\n');
        if is_up {
            break;
        }
    }
    service.kill().unwrap();
    service.wait().unwrap();
    log::keep(log.as_bytes());
    let has = |parts: &[&str]| log.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(has(&["\"message\":\"serving\""]), "{log}");
    assert!(has(&["a check is waived", "authorization.database-login", "falls short", "its login is a superuser"]), "{log}");
    assert!(has(&["a check falls short", "logging.addresses", "PORTCULLIS_SESSION_ADDRESS is full"]), "what is advice is told: {log}");
    d.end().await;
}

#[tokio::test]
async fn no_secret_is_in_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let values = production(folder.path());
    let secret = "canaryQ7xM2vR9";
    let url = format!("postgres://u:{secret}@127.0.0.1:1/p");
    let mut sets: Vec<Values> = Vec::new();
    for setting in SETTINGS.iter().filter(|setting| setting.secret) {
        for value in
            [secret.to_owned(), url.clone(), format!("smtps://u:{secret}@h"), format!("redis://u:{secret}@h"), format!("https://{secret}@h/1")]
        {
            sets.push(changed(&values, &[(setting.name, &value)]));
        }
    }
    // where it does not belong
    for name in ["PORTCULLIS_PUBLIC_URL", "PORTCULLIS_ACME_DIRECTORY", "PORTCULLIS_OAUTH_CALLBACK_URL"] {
        sets.push(changed(&values, &[(name, &format!("https://u:{secret}@accounts.example.com/"))]));
    }
    for values in sets {
        let report = Report::of(&Facts::gather(values.clone().into_iter().collect(), &Clock::system(), false).await);
        for text in [report.to_text(), report.to_json().to_string(), report.refusals().concat()] {
            assert!(!text.contains(secret), "{values:?}\n{text}");
        }
    }
}

#[tokio::test]
async fn the_json_is_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let report = Report::of(&facts(&production(folder.path())).await);
    let page = fs::read_to_string("docs/check.md").unwrap();
    let example: Value = serde_json::from_str(page.split("```json\n").nth(1).unwrap().split("```").next().unwrap()).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let json = report.to_json();
    assert_eq!(keys(&json), keys(&example));
    assert_eq!(json["version"], example["version"]);
    let (row, documented) = (&example["rows"][0], &example["rows"][0]["checks"][0]);
    for found in json["rows"].as_array().unwrap() {
        assert_eq!(keys(found), keys(row));
        assert!(["holds", "falls short", "cannot tell", "waived"].contains(&found["verdict"].as_str().unwrap()));
        for found in found["checks"].as_array().unwrap() {
            assert_eq!(keys(found), keys(documented));
            assert!(!found["findings"].as_array().unwrap().is_empty());
            let name = found["name"].as_str().unwrap();
            let check = named(name).unwrap();
            let weight = match check.weight {
                _ if check.shown_by.is_some() && check.weight == Weight::Advise => "(every build)",
                Weight::Refuse => "refuse",
                Weight::Advise => "advise",
            };
            let line = format!("| `{name}` | {weight} | {} |", if check.is_waivable { "yes" } else { "no" });
            assert!(page.contains(&line), "{line} is not in docs/check.md");
            for setting in found["settings"].as_array().unwrap() {
                assert_eq!(keys(setting), keys(&documented["settings"][0]));
            }
        }
    }
}
