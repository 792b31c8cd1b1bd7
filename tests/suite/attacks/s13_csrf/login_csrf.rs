//! A foreign page signs the victim in to the attacker's account, so that the victim leaves secrets there. There is no session yet
//! and so no token; what the browser says about the page decides.

use crate::support::app::{Answer, PASSWORD, TestApp};
use reqwest::Method;
use serde_json::json;

#[actix_web::test]
async fn a_foreign_page_signs_nobody_in() {
    let app = TestApp::start().await;
    app.create_account("mallory@example.org").await;
    let body = json!({ "email": "mallory@example.org", "password": PASSWORD });
    let login =
        |name: &'static str, value: &'static str| Answer::of(app.visitor().request(Method::POST, "/v1/auth/login").header(name, value).json(&body));
    for (name, value) in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site")] {
        let answer = login(name, value).await;
        assert_eq!((answer.code().as_str(), answer.cookie()), ("CSRF_REJECTED", None), "{name}: {value}");
    }
    assert_eq!(login("sec-fetch-site", "same-origin").await.status, 200);
    let stray = app.visitor().request(Method::POST, "/v1/auth/login").header("origin", "https://evil.example").header("authorization", "Basic eDp5");
    assert_eq!(Answer::of(stray.json(&body)).await.code(), "CSRF_REJECTED", "a stray header is no way around");

    // what a form can send without asking first is no JSON
    let form = app.visitor().request(Method::POST, "/v1/auth/login").header("content-type", "text/plain").body(body.to_string());
    assert_eq!(Answer::of(form).await.code(), "UNSUPPORTED_MEDIA_TYPE");

    // somebody who is signed in is not switched over either
    let mut ada = app.member("ada@example.org").await;
    ada.csrf = None;
    assert_eq!(ada.sign_in("mallory@example.org", PASSWORD).await.code(), "CSRF_REJECTED");
    assert_eq!(ada.get("/v1/me").await.json()["email"], "ada@example.org");
}
