//! Somebody reads the logs, at a finer level than production ever writes.

use crate::support::{
    app::{PASSWORD, TestApp},
    log,
};
use serde_json::json;

#[actix_web::test]
async fn no_password_token_code_cookie_or_address_is_logged() {
    let app = TestApp::start().await;
    let email = "canary-of-the-log@example.org";
    let ada = app.member(email).await;
    let letter = app.letter_to(email).await;
    let wrong = "canary wrong password of the log";
    let mut visitor = app.visitor();
    visitor.sign_in(email, wrong).await;
    visitor.post("/v1/auth/register/complete", json!({ "token": "canary-token-of-the-log", "name": "x", "password": wrong })).await;
    visitor.get("/v1/me?token=canary-query-of-the-log").await;
    let forged = visitor.request(reqwest::Method::GET, "/livez").header("x-request-id", "canary-id-of-the-log").send().await.unwrap();
    assert_ne!(forged.headers()["x-request-id"], "canary-id-of-the-log");

    let text = log::text();
    assert!(text.contains("/v1/auth/register/complete"), "the log is there");
    let cookie = ada.cookie.unwrap().split_once('=').unwrap().1.to_owned();
    let secrets = [PASSWORD.into(), wrong.into(), cookie, ada.csrf.unwrap(), letter.token.unwrap(), letter.code.unwrap()];
    for secret in secrets.iter().map(String::as_str).chain(["of-the-log", "of the log"]) {
        let line = text.lines().find(|line| line.contains(secret));
        // the outbox names the letter's file, and other tests' requests are in here too
        assert!(line.is_none(), "{secret}: {line:?}");
    }
}
