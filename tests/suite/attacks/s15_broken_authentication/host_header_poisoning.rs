//! The attacker asks for a letter to the victim with a host of their own in the request, so that the link's token goes to them.

use crate::support::app::{Answer, PUBLIC_URL, TestApp, over_http1};
use reqwest::Method;
use serde_json::json;

#[actix_web::test]
async fn links_lead_to_the_configured_place_whatever_the_request_says() {
    let app = TestApp::with(&[("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1/32")]).await;
    let poisoned = || {
        app.visitor()
            .request(Method::POST, "/v1/auth/register")
            .header("x-forwarded-host", "evil.example")
            .header("x-forwarded-proto", "http")
            .header("forwarded", "host=evil.example;proto=http")
            .header("x-original-url", "https://evil.example/")
            .json(&json!({ "email": "ada@example.org" }))
    };
    let answer = Answer::of(poisoned().header("host", "evil.example")).await;
    // over HTTP/2 the host is in `:authority`, and a second, different one is no request (RFC 9113 §8.3.1)
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), if over_http1() { (202, "") } else { (400, "MALFORMED") });
    if !over_http1() {
        assert_eq!(Answer::of(poisoned()).await.status, 202);
    }
    let letter = app.letter_to("ada@example.org").await;
    assert!(!letter.text.contains("evil"), "{}", letter.text);
    assert!(letter.text.contains(&format!("{PUBLIC_URL}/go/register#token=")), "{}", letter.text);
    assert!(!letter.text.contains("?token="), "a token in the query would reach servers and logs");
}
