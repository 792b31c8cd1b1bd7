//! A foreign page makes the victim's browser refresh: to learn a token, or to spend it so that the victim is thrown out.

use crate::support::app::{Answer, TestApp};
use reqwest::Method;
use serde_json::json;

#[actix_web::test]
async fn a_foreign_page_refreshes_nothing() {
    let app = TestApp::start().await;
    app.create_account("ada@example.org").await;
    let mut page = app.visitor();
    page.sign_in_by_page("ada@example.org").await;
    let call = || page.request(Method::POST, "/v1/auth/token/refresh");
    for (name, value) in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site")] {
        let answer = Answer::of(call().header(name, value).json(&json!({}))).await;
        assert_eq!(answer.code(), "CSRF_REJECTED", "{name}: {value}");
        assert!(answer.cookie_named("__Secure-portcullis-refresh").is_none());
    }
    let form = Answer::of(call().header("content-type", "text/plain").body("{}")).await;
    assert_eq!(form.code(), "UNSUPPORTED_MEDIA_TYPE", "what a form can send");
    // an Authorization header takes the cookies away, and is no way around
    let with = |origin: &'static str| Answer::of(call().header("origin", origin).header("authorization", "Bearer x").json(&json!({})));
    assert_eq!(with("https://evil.example").await.code(), "CSRF_REJECTED");
    assert_eq!(with("https://localhost:8443").await.code(), "INVALID_REFRESH_TOKEN");
    assert_eq!(app.count("SELECT count(*) FROM refresh_tokens WHERE used_at IS NOT NULL").await, 0, "nothing was spent");
    assert_eq!(Answer::of(call().header("sec-fetch-site", "same-origin").json(&json!({}))).await.status, 200);
}
