//! A library, or a line that somebody adds in a hurry, logs what it must not. The filter behind all types takes it away, and what is
//! written is still what it was: JSON.

use crate::support::log::Memory;
use portcullis::platform::telemetry::{LogFormat, subscriber};
use serde_json::Value;
use tracing_subscriber::EnvFilter;

/// A canary in it, and what must be left of its line.
const LEAKS: [(&str, &str); 24] = [
    ("token eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJjYW5hcnkifQ.canary-signature is bad", "is bad"),
    ("got Bearer canary-of-a-bearer-token.x and stopped", "and stopped"),
    ("got bearer Canary/of+a~bearer== and stopped", "and stopped"),
    ("Authorization: Basic Y2FuYXJ5OmNhbmFyeQ== was sent", "Authorization"),
    ("cookie header __Host-portcullis=canary%2Bsession; and more", "and more"),
    ("cookie header __Secure-portcullis-refresh=canary-refresh; and more", "and more"),
    ("cannot reach postgres://service:canary@db.internal/accounts now", "db.internal/accounts now"),
    ("cannot reach smtps://canary:p%40ss@mail.internal now", "now"),
    ("no such user canary@example.org here", "here"),
    ("no such user <canary+tag@sub.example.org>, said the server", "said the server"),
    ("next line\ncanary@example.org\nand the last", "and the last"),
    ("a tab\tcanary@example.org", "a tab"),
    ("ünïcode cänary@exämple.org bleibt", "bleibt"),
    ("hash $argon2id$v=19$m=19456,t=2,p=1$Y2FuYXJ5$canary differs", "differs"),
    ("link token Zq3cAnArYcanaryCANARYcanaryCANARYcanary0-_x of a letter", "of a letter"),
    ("line\nZq3cAnArYcanaryCANARYcanaryCANARYcanary0-_x", "line"),
    ("found pc_live_0190a5e0c0de7000800000000000beef_canaryCANARYcanary in a file", "in a file"),
    ("found pc_dev_0190a5e0_canary in a file", "in a file"),
    ("GET /v1/me?token=canary failed", "GET /v1/me?"),
    ("form password=canary of the log under a moon", "form "),
    (r#"body {"email":"x","password":"canary \" of the log"} refused"#, "body "),
    (r#"body {\"password\":\"canary of the log\"} refused"#, "body "),
    (r#"Login { password: "canary of the log" }"#, "Login "),
    (r#"Password("canary of the log")"#, "Password("),
];

fn logged(format: LogFormat, log: impl Fn()) -> String {
    let memory = Memory::default();
    let writer = memory.clone();
    let subscriber = subscriber(format, EnvFilter::new("trace"), false, move || writer.clone(), None).unwrap();
    tracing::subscriber::with_default(subscriber, log);
    memory.text()
}

fn leaks(line: &str) -> bool {
    let line = line.to_lowercase();
    ["canary", "cänary", "y2fuyxj5", "ss@mail"].iter().any(|part| line.contains(part))
}

#[test]
fn what_looks_like_a_secret_or_an_address_is_taken_away_and_json_stays_json() {
    for (text, left) in LEAKS {
        for as_field in [false, true] {
            let log = || {
                let span = tracing::info_span!("request", id = 7, cause = as_field.then_some(text));
                let _inside = span.enter();
                match as_field {
                    true => tracing::error!(cause = text, after = "still here", "a fault"),
                    false => tracing::error!(after = "still here", "{text}"),
                }
            };
            let line = logged(LogFormat::Json, log);
            let record: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(!leaks(&line) && line.contains("[redacted]"), "{line}");
            assert_eq!((record["after"].as_str(), record["span"]["id"].as_u64()), (Some("still here"), Some(7)), "{line}");
            let told = if as_field { &record["cause"] } else { &record["message"] };
            assert!(told.as_str().unwrap().contains(left), "{left} is gone from {line}");

            let line = logged(LogFormat::Pretty, log);
            assert!(!leaks(&line) && line.contains("[redacted]"), "{line}");
        }
    }
}

#[test]
fn a_field_that_is_named_like_a_secret_loses_its_value_only() {
    let line = logged(LogFormat::Json, || tracing::warn!(password = "canary \" of, the log", api_key = ?"canary", next = "here", "token="));
    let record: Value = serde_json::from_str(&line).unwrap();
    assert!(!leaks(&line), "{line}");
    assert_eq!((record["password"].as_str(), record["next"].as_str()), (Some("[redacted]"), Some("here")), "{line}");
    let line = logged(LogFormat::Pretty, || tracing::warn!(password = "canary of the log", next = "here", "x"));
    assert!(!leaks(&line) && line.contains("here"), "{line}");
}

#[test]
fn what_every_line_has_is_left_alone() {
    let log = || {
        let span = tracing::info_span!("request", id = "01900000-0000-7000-8000-000000000000", trace_id = "4bf92f3577b34da6a3ce929d0e0e4736");
        let _inside = span.enter();
        let cause = "INTERNAL: error returned from database: column \"name\" of relation public.users does not exist";
        tracing::error!(status = 500, code = "INVALID_TOKEN", route = "/v1/auth/token/refresh", client = "2001:db8::1", cause, "request");
        tracing::info!(digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", https = "127.0.0.1:8443", "serving");
        tracing::info!("the access token could not be checked: no connection (password) and tokens: none");
    };
    for format in [LogFormat::Json, LogFormat::Pretty] {
        let text = logged(format, log);
        assert!(!text.contains("[redacted]"), "{text}");
    }
}

/// Somebody who looks for a fault turns everything on, or names one of them.
#[test]
fn no_setting_makes_libraries_tell_what_was_sent() {
    for setting in
        ["trace", "trace,html5ever=trace,html5ever::tokenizer=trace,actix_web=trace,h2=trace,h2::server=debug,rustls::server=trace,mio::poll=trace"]
    {
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber = subscriber(LogFormat::Json, EnvFilter::new(setting), false, move || writer.clone(), None).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "html5ever::tokenizer", "what people write about themselves: canary");
            tracing::error!(target: "html5ever::tree_builder", "the same: canary");
            tracing::debug!(target: "actix_web::types::query", "a path: canary");
            tracing::debug!(target: "h2::server", "a path: canary");
            tracing::trace!(target: "rustls::server::hs", "a hello: canary");
            tracing::debug!(target: "rustls_acme::acme", "an answer: canary");
            tracing::trace!(target: "mio::poll", "registering event source with poller: token=Token(1)");
            tracing::trace!(target: "sqlx::query", "still here");
        });
        let text = memory.text();
        assert!(text.lines().count() == 1 && text.contains("still here"), "{setting}: {text}");
    }
}
