//! The log is for machines: one JSON object a request, with the fields that alerts and searches are built on.

use crate::support::{
    app::{Answer, TestApp},
    log,
};
use serde_json::Value;

/// What a record has, and nothing else: whoever adds a field decides here whether it may be personal.
const FIELDS: [&str; 11] = ["agent", "client", "level", "message", "method", "milliseconds", "route", "span", "status", "target", "timestamp"];

fn records(id: &str) -> Vec<Value> {
    let of_request = |line: &&str| line.contains(id) && line.contains("\"message\":\"request\"");
    log::text().lines().filter(of_request).map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn names(record: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = record.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[actix_web::test]
async fn every_request_leaves_one_record_with_the_same_fields() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    let (tokens, _) = app.token_sign_in("ada@example.org").await;
    let account = app.id_of("ada@example.org").await;
    for (actor, path, route, status) in [
        (&ada, "/v1/me", "/v1/me", 200),
        (&tokens, "/v1/me", "/v1/me", 200),
        (&ada, "/v1/me/events?limit=1", "/v1/me/events", 200),
        (&ada, "/v1/nothing/canary-path@example.org?canary", "unmatched", 404),
    ] {
        let request = actor.request(reqwest::Method::GET, path).header("user-agent", "curl/8 canary-agent");
        let id = Answer::of(request).await.header("x-request-id").to_owned();
        let [record] = &records(&id)[..] else { panic!("{path}: {:?}", records(&id)) };
        assert_eq!((record["route"].as_str(), record["status"].as_u64()), (Some(route), Some(status)), "{record}");
        assert_eq!((record["method"].as_str(), record["client"].as_str(), record["level"].as_str()), (Some("GET"), Some("127.0.0.1"), Some("INFO")));
        assert_eq!(record["agent"].as_str(), Some("curl"), "by its coarse name");
        assert!(record["milliseconds"].as_f64().is_some_and(|milliseconds| milliseconds > 0.0) && record["timestamp"].is_string(), "{record}");
        assert_eq!(record["span"]["id"].as_str(), Some(id.as_str()));
        assert_eq!(record["span"]["user"].as_str(), Some(account.as_str()), "who called");
        assert!(record["span"]["session"].is_string(), "in which session");
        assert_eq!(record["code"].as_str(), (status == 404).then_some("NOT_FOUND"), "why it was refused");
        let mut expected = FIELDS.to_vec();
        expected.extend((status == 404).then_some("code"));
        expected.sort_unstable();
        assert_eq!(names(record), expected);
        assert!(!record.to_string().contains("canary"), "neither path nor query nor header: {record}");
    }
}

#[actix_web::test]
async fn a_callers_trace_is_found_in_every_line_about_its_request() {
    let app = TestApp::start().await;
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let request = app.visitor().request(reqwest::Method::GET, "/v1/me").header("traceparent", format!("00-{trace}-{parent}-01"));
    let id = Answer::of(request).await.header("x-request-id").to_owned();
    let [record] = &records(&id)[..] else { panic!("{:?}", records(&id)) };
    assert_eq!((record["span"]["trace_id"].as_str(), record["span"]["parent_id"].as_str()), (Some(trace), Some(parent)));
    assert_eq!(record["span"]["id"].as_str(), Some(id.as_str()), "our own id stays");
    let without = app.visitor().get("/v1/me").await.header("x-request-id").to_owned();
    assert!(records(&without)[0]["span"].get("trace_id").is_none());
}
