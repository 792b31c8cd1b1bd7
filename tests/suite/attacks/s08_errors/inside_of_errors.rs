//! The attacker provokes errors to read about the inside: SQL, paths, types, versions, hosts.

use crate::support::app::{Answer, TestApp};
use reqwest::Method;
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};

fn tells_nothing(answer: &Answer) {
    let text = format!("{:?} {}", answer.headers, answer.text).to_lowercase();
    for inside in
        ["sql", "postgres", "select", "table", "column", "src/", ".rs", "panick", "backtrace", "sqlx", "actix", "serde", "os error", "stack"]
    {
        assert!(!text.contains(inside), "{inside}: {text}");
    }
}

/// The one line of a fault; warnings beside it would be a second place to look.
fn the_record_of(id: &str) -> String {
    let text = crate::support::log::text();
    let is_loud = |line: &&str| line.contains("\"level\":\"ERROR\"") || line.contains("\"level\":\"WARN\"");
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(id)).filter(is_loud).collect();
    let [line] = lines[..] else { panic!("the id in the answer finds one record in the log: {lines:?}") };
    line.to_owned()
}

#[actix_web::test]
async fn a_fault_inside_is_told_as_internal_and_its_cause_goes_to_the_log() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    let mut owner = PgConnection::connect_with(&app.database.owner).await.unwrap();
    owner.execute("ALTER TABLE users RENAME COLUMN name TO canary_of_this_test").await.unwrap();
    let answer = ada.get("/v1/me").await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (500, "INTERNAL"));
    tells_nothing(&answer);
    let id = answer.header("x-request-id").to_owned();
    let line = the_record_of(&id);
    assert!(line.contains("/v1/me"), "{line}");
    assert_eq!(line.matches("does not exist").count(), 1, "the cause, told once: {line}");
}

#[actix_web::test]
async fn with_the_database_away_every_call_says_so_and_the_service_recovers() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    let (bob, _) = app.token_member("bob@example.org").await;
    let mut superuser = PgConnection::connect_with(&app.database.superuser).await.unwrap();
    let name = app.database.owner.get_database().unwrap().to_owned();
    // the name is the suite's own
    superuser.execute(sqlx::AssertSqlSafe(format!("ALTER DATABASE {name} CONNECTION LIMIT 0"))).await.unwrap();
    let cut = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    superuser.execute(sqlx::AssertSqlSafe(cut)).await.unwrap();
    app.wait_for("distrust", async || (!app.state.revocations.is_trusted()).then_some(())).await;
    for answer in [
        ada.get("/v1/me").await,
        bob.get("/v1/me").await,
        ada.patch("/v1/me", json!({ "name": "x" })).await,
        app.visitor().sign_in("ada@example.org", "wrong").await,
        app.visitor().post("/v1/auth/register", json!({ "email": "eve@example.org" })).await,
        app.visitor().get("/readyz").await,
    ] {
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "UNAVAILABLE"), "{}", answer.text);
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
        tells_nothing(&answer);
        let line = the_record_of(answer.header("x-request-id"));
        assert!(line.contains("\"cause\":\"UNAVAILABLE: "), "the whole chain: {line}");
    }
    for actor in [&app.visitor(), &ada] {
        for path in ["/livez", "/docs/errors", "/go/reset", "/.well-known/jwks.json"] {
            assert_eq!(actor.get(path).await.status, 200, "{path} all the same");
        }
    }
    superuser.execute(sqlx::AssertSqlSafe(format!("ALTER DATABASE {name} CONNECTION LIMIT -1"))).await.unwrap();
    app.wait_for("recovery", async || (ada.get("/v1/me").await.status == 200).then_some(())).await;
    assert_eq!(app.visitor().get("/readyz").await.status, 200);
}

#[actix_web::test]
async fn what_the_framework_answers_is_enveloped_too() {
    let app = TestApp::start().await;
    let visitor = app.visitor();
    let long = format!("/{}", "a".repeat(3000));
    for (method, path, status, code) in [
        (Method::GET, "/nothing", 404, "NOT_FOUND"),
        (Method::GET, "/v1/../../etc/passwd", 404, "NOT_FOUND"),
        (Method::GET, "/docs/%2e%2e%2f%2e%2e%2fetc%2fpasswd", 404, "NOT_FOUND"),
        (Method::GET, "/go/assets/link.html", 404, "NOT_FOUND"),
        (Method::GET, long.as_str(), 404, "NOT_FOUND"),
        (Method::DELETE, "/v1/me", 405, "METHOD_NOT_ALLOWED"),
        (Method::OPTIONS, "/v1/me", 405, "METHOD_NOT_ALLOWED"),
        (Method::TRACE, "/v1/me", 405, "METHOD_NOT_ALLOWED"),
    ] {
        let answer = Answer::of(visitor.request(method.clone(), path)).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{method} {path}: {}", answer.text);
        tells_nothing(&answer);
        if status == 405 {
            assert_eq!(answer.header("allow"), "GET, HEAD, PATCH");
        }
    }
    let head = Answer::of(visitor.request(Method::HEAD, "/livez")).await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
}
