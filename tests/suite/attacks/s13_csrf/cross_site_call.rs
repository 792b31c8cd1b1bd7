//! A foreign page makes the browser of somebody who is signed in send a call; the cookie goes along.

use crate::support::app::{Answer, PUBLIC_URL, TestApp};
use reqwest::Method;
use serde_json::json;

#[actix_web::test]
async fn calls_from_elsewhere_or_without_the_token_change_nothing() {
    let app = TestApp::with(&[("PORTCULLIS_CORS_ORIGINS", "https://app.example")]).await;
    let ada = app.member("ada@example.org").await;
    let bob = app.member("bob@example.org").await;
    let mut without_token = ada.clone();
    without_token.csrf = None;
    let mut with_bobs_token = ada.clone();
    with_bobs_token.csrf = bob.csrf.clone();
    let mut with_empty_token = ada.clone();
    with_empty_token.csrf = Some(String::new());

    let body = json!({ "name": "Mallory" });
    for (kind, actor, headers) in [
        ("no token", &without_token, vec![]),
        ("no token, own origin", &without_token, vec![("origin", PUBLIC_URL)]),
        ("no token, same-origin", &without_token, vec![("sec-fetch-site", "same-origin")]),
        ("another session's token", &with_bobs_token, vec![]),
        ("empty token", &with_empty_token, vec![]),
        ("foreign origin", &ada, vec![("origin", "https://evil.example")]),
        ("opaque origin", &ada, vec![("origin", "null")]),
        ("lookalike", &ada, vec![("origin", "https://localhost:8443.evil.example")]),
        ("two origins", &ada, vec![("origin", PUBLIC_URL), ("origin", "https://evil.example")]),
        ("cross-site", &ada, vec![("sec-fetch-site", "cross-site")]),
        ("same-site", &ada, vec![("sec-fetch-site", "same-site")]),
    ] {
        for method in [Method::PATCH, Method::POST] {
            let path = if method == Method::POST { "/v1/auth/logout" } else { "/v1/me" };
            let request = headers.iter().fold(actor.request(method, path), |request, (name, value)| request.header(*name, *value));
            let answer = Answer::of(request.json(&body)).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "CSRF_REJECTED"), "{kind} {path}");
        }
    }
    assert_eq!(ada.get("/v1/me").await.json()["name"], "Ada");
    for origin in [PUBLIC_URL, "https://app.example"] {
        let answer =
            Answer::of(ada.request(Method::PATCH, "/v1/me").header("origin", origin).header("sec-fetch-site", "same-site").json(&body)).await;
        assert_eq!(answer.status, 200, "{origin}: {}", answer.text);
    }
}
