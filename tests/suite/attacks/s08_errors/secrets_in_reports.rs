//! Somebody reads the reports of faults, at the company that keeps them: they hold no secret, no personal data and nothing of the request.
//! And nobody can make the service wait for that company.

use crate::{
    journeys::the_binary::{Running, wait_until},
    support::{app::TestApp, ingest::Ingest, log::Memory},
};
use actix_web::{
    HttpResponse,
    test::{TestRequest, call_service, init_service, try_call_service},
    web::{self, Data},
};
use portcullis::{
    api,
    edge::{self, rate_limit::buckets::Buckets},
    platform::{
        local_postgres::LocalPostgres,
        reports::Reports,
        telemetry::{LogFormat, subscriber},
    },
};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tracing_subscriber::EnvFilter;

/// The event in what the ingest was sent: an envelope has a header and for each item a header and a payload, a line each.
fn event(request: &str) -> Value {
    serde_json::from_str(request.split("\r\n\r\n").nth(1).unwrap().lines().nth(2).unwrap()).unwrap()
}

fn reports(ingest: &Ingest) -> Reports {
    Reports::to(&ingest.dsn().into(), "development").unwrap()
}

#[actix_web::test]
async fn a_fault_and_a_panic_are_reported_without_anything_of_the_request() {
    let app = TestApp::start().await;
    let ada = app.member("canary@example.org").await;
    let mut owner = PgConnection::connect_with(&app.database.owner).await.unwrap();
    let account: String = sqlx::query_scalar("SELECT id::text FROM users").fetch_one(&mut owner).await.unwrap();
    owner.execute("ALTER TABLE users RENAME COLUMN name TO \"canary@example.org\"").await.unwrap();

    let (ingest, memory) = (Ingest::start(false), Memory::default());
    let (reports, writer) = (reports(&ingest), memory.clone());
    let filter = EnvFilter::new("info");
    let _reported =
        tracing::subscriber::set_default(subscriber(LogFormat::Json, filter, false, move || writer.clone(), Some(reports.clone())).unwrap());
    let quota = Buckets::new(&app.state.settings.quotas).unwrap();
    let handlers = |config: &mut web::ServiceConfig| {
        api::configure(config);
        config.route("/boom/{x}", web::get().to(boom));
    };
    let service = init_service(edge::app(Data::new(app.state.clone()), &quota, handlers)).await;
    let request = |path: &str| {
        TestRequest::get()
            .uri(path)
            .peer_addr("203.0.113.77:4000".parse().unwrap())
            .insert_header(("cookie", ada.cookie.clone().unwrap()))
            .insert_header(("host", "localhost"))
            .insert_header(("user-agent", "canary-agent"))
            .insert_header(("x-canary", "canary"))
            .insert_header(("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
            .to_request()
    };
    let fault = call_service(&service, request("/v1/me?canary=canary")).await;
    let broken = try_call_service(&service, request("/boom/canary?canary=canary")).await.map(drop).unwrap_err();
    assert_eq!(broken.error_response().status(), 500, "a panic is answered");
    assert!(reports.flush());

    let heard = ingest.heard();
    let events: Vec<Value> = heard.iter().map(|request| event(request)).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event["exception"]["values"][0]["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["INTERNAL", "panic", "INTERNAL"], "the fault; the panic, where it happened and by the request that it ended");
    let first = &events[0];
    let request_id = fault.headers().get("x-request-id").unwrap().to_str().unwrap();
    assert_eq!(first["tags"]["request_id"].as_str(), Some(request_id), "{first}");
    assert_eq!((first["tags"]["route"].as_str(), first["tags"]["status"].as_str()), (Some("/v1/me"), Some("500")), "{first}");
    assert_eq!(first["tags"]["trace_id"].as_str(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    assert_eq!((first["environment"].as_str(), first["level"].as_str()), (Some("development"), None));
    assert!(first["release"].as_str().unwrap().starts_with("portcullis@"));
    assert!(first["exception"]["values"][0]["value"].as_str().unwrap().contains("does not exist"), "the cause: {first}");
    let allowed = BTreeSet::from(["environment", "event_id", "exception", "fingerprint", "level", "platform", "release", "sdk", "tags", "timestamp"]);
    for (event, request) in events.iter().zip(&heard) {
        let fields: BTreeSet<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
        assert!(fields.is_subset(&allowed), "{event}");
        for part in ["canary", "203.0.113.77", &account, &hostname(), ada.cookie.as_ref().unwrap()] {
            assert!(!request.contains(part), "{part} is in {request}");
        }
    }
    assert!(memory.text().contains("\"message\":\"panic\"") && !memory.text().contains("canary"), "nor is it in the log: {}", memory.text());
}

async fn boom() -> HttpResponse {
    panic!("no account canary@example.org with token=canary")
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map_or_else(|_| "no host name".into(), |name| name.trim().to_owned())
}

#[test]
fn nothing_waits_for_an_ingest_that_does_not_answer() {
    let ingest = Ingest::start(true);
    let reports = reports(&ingest);
    let subscriber = subscriber(LogFormat::Json, EnvFilter::new("info"), false, std::io::sink, Some(reports.clone())).unwrap();
    let begun = Instant::now();
    tracing::subscriber::with_default(subscriber, || (0..1000).for_each(|_| tracing::error!(target: "portcullis::test", cause = "x", "request")));
    assert!(begun.elapsed() < Duration::from_secs(2), "a full queue drops: {:?}", begun.elapsed());
    assert!(!reports.flush());
    assert!(begun.elapsed() < Duration::from_secs(10), "and the end waits so long and no longer: {:?}", begun.elapsed());
    assert!(ingest.heard().len() < 100);
}

#[actix_web::test]
async fn the_binary_reports_what_the_setting_says_and_delivers_before_it_stops() {
    let (folder, ingest) = (tempfile::tempdir().unwrap(), Ingest::start(false));
    let service = Running::start_with(folder.path(), &[("PORTCULLIS_SENTRY_DSN", &ingest.dsn())]);
    let database = LocalPostgres::start(&folder.path().join("data/postgres"), &[]).await.unwrap();
    let mut owner = PgConnection::connect_with(&database.owner()).await.unwrap();
    owner.execute("ALTER TABLE outbox RENAME TO gone").await.unwrap();
    let body = json!({ "email": "canary@example.org" });
    let answer = service.shell(&format!("curl -sS --cacert data/tls/ca.pem https://localhost:8443/v1/auth/register --json '{body}'"));
    assert!(answer.contains("INTERNAL"), "{answer}");
    drop((owner, database));
    service.signal("-TERM");
    assert!(service.end());
    wait_until("the event is there", || ingest.heard().iter().any(|request| request.contains("/v1/auth/register")));
    assert!(ingest.heard().iter().all(|request| !request.contains("canary")), "{:?}", ingest.heard());
}
