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
    assert_eq!(ada.patch("/v1/me", json!({ "about": "about <b>of the log</b>" })).await.status, 200);
    let forged = visitor.request(reqwest::Method::GET, "/livez").header("x-request-id", "canary-id-of-the-log").send().await.unwrap();
    assert_ne!(forged.headers()["x-request-id"], "canary-id-of-the-log");

    // every other story with a letter, and what administrators do with people
    let root = app.administrator().await;
    visitor.post("/v1/auth/password/forgot", json!({ "email": email })).await;
    ada.post("/v1/me/email", json!({ "email": "new-canary-of-the-log@example.org" })).await;
    root.post("/v1/invitations", json!({ "email": "guest-canary-of-the-log@example.org" })).await;
    root.get("/v1/users?email=canary-of-the-log").await;
    let stranger = app.sign_in(email).await;
    let mailed = [
        app.letter_about(email, "/go/reset").await,
        app.letter_about(email, "/go/disown").await,
        app.letter_about("new-canary-of-the-log@example.org", "/go/email").await,
        app.letter_about("guest-canary-of-the-log@example.org", "invited").await,
    ];
    let reset = json!({ "token": mailed[0].token, "password": "canary of the log: slow copper rain" });
    assert_eq!(visitor.post("/v1/auth/password/reset", reset).await.status, 204);

    let (with_tokens, first) = app.token_member("tokens-canary-of-the-log@example.org").await;
    let second = with_tokens.exchange(&first).await.json()["refresh_token"].as_str().unwrap().to_owned();
    with_tokens.get("/v1/auth/verify").await;
    with_tokens.exchange("canary-refresh-token-of-the-log").await;
    let mut forger = app.visitor();
    forger.bearer = Some("canary.access-token.of-the-log".into());
    forger.get("/v1/me").await;
    let access = with_tokens.bearer.clone().unwrap();

    let text = log::text();
    assert!(text.contains("/v1/auth/register/complete") && text.contains("/v1/auth/password/reset"), "the log is there");
    let cookie = ada.cookie.unwrap().split_once('=').unwrap().1.to_owned();
    let own = [PASSWORD.into(), wrong.into(), cookie, ada.csrf.unwrap(), stranger.device.unwrap(), access, first, second];
    let mailed = mailed.into_iter().chain([letter]).flat_map(|letter| [letter.token, letter.code]).flatten();
    let secrets: Vec<String> = own.into_iter().chain(mailed).chain(["of-the-log".into(), "of the log".into()]).collect();
    for secret in &secrets {
        // eight digits also occur by chance within the ids of requests
        let is_whole = |line: &str, at: usize| {
            let belongs = |c: char| c.is_ascii_alphanumeric() || c == '-';
            !line[..at].ends_with(belongs) && !line[at + secret.len()..].starts_with(belongs)
        };
        let shows = |line: &str| line.match_indices(secret.as_str()).any(|(at, _)| secret.len() > 8 || is_whole(line, at));
        let line = text.lines().find(|line| shows(line));
        // the outbox names the letter's file, and other tests' requests are in here too
        assert!(line.is_none(), "{secret}: {line:?}");
    }
}
