//! A provider, or whoever sits between, says what it should not: speaks for another issuer, names addresses in clear text or elsewhere,
//! answers without end or not at all. Its sign-in does not work then; the service does.

use crate::support::{app::TestApp, provider::Provider};
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const BEGIN: &str = "/v1/auth/oauth/corp/authorize";
const DISCOVERY: &str = "/.well-known/openid-configuration";

async fn beside(provider: &Arc<Provider>) -> TestApp {
    TestApp::with(&[("PORTCULLIS_IDENTITY_PROVIDERS", &json!([provider.entry("corp", true)]).to_string())]).await
}

#[actix_web::test]
async fn metadata_that_lies_is_not_used() {
    for metadata in [
        json!({ "issuer": "https://accounts.google.com" }),
        json!({ "issuer": null }),
        json!({ "authorization_endpoint": "http://evil.example/authorize" }),
        json!({ "token_endpoint": "http://169.254.169.254/latest/meta-data" }),
        json!({ "token_endpoint": "file:///etc/passwd" }),
        json!({ "jwks_uri": "http://evil.example/keys" }),
        json!({ "jwks_uri": "https://user:password@evil.example/keys" }),
        json!({ "userinfo_endpoint": "http://evil.example/me" }),
        json!({ "authorization_endpoint": "javascript:alert(1)" }),
        json!({ "authorization_endpoint": null }),
        json!({ "code_challenge_methods_supported": ["plain"] }),
    ] {
        let provider = Provider::start();
        provider.behave().metadata = metadata.clone();
        let app = beside(&provider).await;
        let answer = app.visitor().post(BEGIN, json!({})).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "UNAVAILABLE"), "{metadata}");
        assert!(!answer.header("retry-after").is_empty() && answer.cookie_named("__Host-portcullis-oauth").is_none());
        assert_eq!(app.count("SELECT count(*) FROM challenges").await, 0, "{metadata}");
    }
}

fn http(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

#[actix_web::test]
async fn answers_that_are_huge_slow_broken_or_elsewhere_end_in_time() {
    let huge = format!("{{\"issuer\":\"{}\"}}", "x".repeat(300 * 1024));
    let elsewhere = Provider::start();
    let moved = format!("302 Found\r\nlocation: {}{DISCOVERY}", elsewhere.url);
    for (what, raw) in [
        ("huge", http("200 OK", huge.as_bytes())),
        ("without end", [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".as_slice(), b"1\r\nx\r\n".repeat(300 * 1024).as_slice()].concat()),
        ("no JSON", http("200 OK", b"<html>")),
        ("a list", http("200 OK", b"[]")),
        ("moved", http(&moved, b"")),
        ("broken", http("500 Internal Server Error", b"{}")),
        ("gone", http("404 Not Found", b"{}")),
        ("busy", http("429 Too Many Requests", b"{}")),
        ("no HTTP", b"ICY 200 OK\r\n\r\n".to_vec()),
    ] {
        let provider = Provider::start();
        provider.behave().instead.insert(DISCOVERY, raw);
        let app = beside(&provider).await;
        let answer = app.visitor().post(BEGIN, json!({})).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "UNAVAILABLE"), "{what}");
        // who comes next does not wait for it
        app.visitor().post(BEGIN, json!({})).await;
        assert_eq!(provider.asked(DISCOVERY), 1, "{what}");
        provider.behave().instead.clear();
        app.clock.advance(time::Duration::seconds(6));
        assert_eq!(app.visitor().post(BEGIN, json!({})).await.status, 200, "{what}: it is back");
    }
    assert_eq!(elsewhere.asked(DISCOVERY), 0, "nobody followed");
}

#[actix_web::test]
async fn a_provider_that_does_not_answer_holds_nobody_up_for_long() {
    for path in [DISCOVERY, "/token", "/jwks"] {
        let provider = Provider::start();
        provider.behave().silent = Some(path);
        let app = beside(&provider).await;
        let begun = Instant::now();
        let answer = match path {
            DISCOVERY => app.visitor().post(BEGIN, json!({})).await,
            _ => provider.sign_in(&app.visitor(), "corp", json!({})).await,
        };
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "UNAVAILABLE"), "{path}");
        assert!(begun.elapsed() < Duration::from_secs(9), "{path}: {:?}", begun.elapsed());
        assert_eq!(app.visitor().get("/v1/auth/oauth/providers").await.json()["items"][0]["name"], json!("corp"));
    }
}

#[actix_web::test]
async fn what_the_user_info_says_of_somebody_else_is_not_believed() {
    let provider = Provider::start();
    let app = beside(&provider).await;
    provider.behave().metadata = json!({ "userinfo_endpoint": format!("{}/me", provider.url) });
    provider.saying(json!({ "email": null }));
    let told = |told: &Value| http("200 OK", told.to_string().as_bytes());
    let person = json!({ "sub": "somebody else", "email": "ada@example.org", "email_verified": true });
    provider.behave().instead.insert("/me", told(&person));
    assert_eq!(provider.sign_in(&app.visitor(), "corp", json!({})).await.code(), "IDENTITY_REFUSED");
    let person = json!({ "sub": crate::support::provider::SUBJECT, "email": "ada@example.org", "email_verified": true });
    provider.behave().instead.insert("/me", told(&person));
    assert_eq!(provider.sign_in(&app.visitor(), "corp", json!({})).await.status, 200);
}
