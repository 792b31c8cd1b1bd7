//! Headers that are read and come twice, too long, or with bytes that are no text.

use crate::support::app::{Answer, TestApp};
use reqwest::{Method, header::HeaderValue};
use serde_json::json;

#[actix_web::test]
async fn headers_that_are_read_are_looked_at_first() {
    let app = TestApp::start().await;
    let visitor = app.visitor();
    let keys = || visitor.request(Method::GET, "/.well-known/jwks.json");
    for (value, reason) in [
        (HeaderValue::from_str(&format!("\"{}\"", "canary".repeat(200))).unwrap(), "is longer than 1024 bytes"),
        (HeaderValue::from_bytes(b"\"canary\xff\"").unwrap(), "is not visible ASCII"),
    ] {
        let answer = Answer::of(keys().header("if-none-match", value)).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "INVALID"), "{}", answer.text);
        assert_eq!(answer.json()["error"]["fields"], json!([{ "field": "if-none-match", "reason": reason }]));
    }
    let tag = Answer::of(keys()).await.header("etag").to_owned();
    assert_eq!(Answer::of(keys().header("if-none-match", format!("\"x\", {tag}"))).await.status, 304);

    let register = |types: &[&'static str]| {
        let request = visitor.request(Method::POST, "/v1/auth/register").body(r#"{"email":"a@b.example"}"#);
        Answer::of(types.iter().fold(request, |request, value| request.header("content-type", *value)))
    };
    assert_eq!(register(&["application/json", "text/plain"]).await.code(), "UNSUPPORTED_MEDIA_TYPE", "whose is right?");
    assert_eq!(register(&["application/json", "application/json"]).await.code(), "UNSUPPORTED_MEDIA_TYPE");
    assert_eq!(app.count("SELECT count(*) FROM mailed_proofs").await, 0);
    assert_eq!(register(&["application/json"]).await.status, 202);

    let mut ada = app.member("ada@example.org").await;
    let token = ada.csrf.take().unwrap();
    let rename = || ada.request(Method::PATCH, "/v1/me").json(&json!({ "name": "Mallory" }));
    let twice = Answer::of(rename().header("x-csrf-token", "x").header("x-csrf-token", &token)).await;
    assert_eq!(twice.code(), "CSRF_REJECTED");
    assert_eq!(Answer::of(rename().header("x-csrf-token", &token)).await.status, 200);
    // what is only written down is reduced, and no reason to refuse a call
    let long = HeaderValue::from_str(&"Firefox ".repeat(500)).unwrap();
    assert_eq!(Answer::of(ada.request(Method::GET, "/v1/me").header("user-agent", long)).await.status, 200);
}
