//! Somebody at the owner's open browser, or with a stolen session, changes what the account or authority hangs on.

use crate::support::{
    app::{PASSWORD, TestApp},
    operations::{document, fingerprint, operations},
};
use serde_json::json;
use time::Duration;

const ADA: &str = "ada@example.org";

fn is_sending(path: &str) -> bool {
    ["/replay", "/test"].iter().any(|end| path.ends_with(end))
}

/// A challenge of RFC 9470: the level, and how old the proof may be.
fn challenge(acr: &str) -> String {
    format!(r#"Bearer realm="portcullis", error="insufficient_user_authentication", acr_values="{acr}", max_age="600", Session realm="portcullis""#)
}

#[actix_web::test]
async fn every_sensitive_call_demands_a_fresh_proof() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    app.clock.advance(Duration::minutes(10) + Duration::SECOND);
    let before = fingerprint(&app).await;
    let mut demanding = Vec::new();
    for operation in operations() {
        // on documents policies decide, by how well somebody has shown who they are
        let is_of_administrators = operation.permission().is_some() && !operation.path.starts_with("/v1/documents");
        // sends to whom a fresh proof named what they were to have
        let is_of_administrators = is_of_administrators && !(operation.path.starts_with("/v1/webhooks/") && is_sending(&operation.path));
        let is_unsafe = operation.method != reqwest::Method::GET;
        assert!(!is_of_administrators || is_unsafe == operation.is_fresh(), "{}", operation.name());
        if !operation.is_fresh() {
            continue;
        }
        assert!(operation.response(document(), 401).is_some_and(|refusal| refusal["description"].as_str().unwrap().contains("STEP_UP_REQUIRED")));
        let answer = crate::support::app::Answer::of(
            root.request(operation.method.clone(), &operation.url()).json(&operation.body().unwrap_or_else(|| json!({}))),
        )
        .await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "STEP_UP_REQUIRED"), "{}", operation.name());
        assert_eq!(answer.header("www-authenticate"), challenge("aal1"), "{}", operation.name());
        assert_eq!(answer.json()["error"]["step_up"], json!({ "acr": "aal1", "max_age": 600 }));
        demanding.push(operation.name());
    }
    assert_eq!(fingerprint(&app).await, before);
    for expected in [
        "POST /v1/me/password",
        "POST /v1/me/email",
        "POST /v1/me/close",
        "POST /v1/me/export",
        "GET /v1/me/export/{id}",
        "POST /v1/me/mfa/totp",
        "DELETE /v1/me/mfa/totp",
        "POST /v1/me/mfa/recovery-codes",
        "PUT /v1/users/{id}/roles",
        "PUT /v1/roles/{name}",
        "POST /v1/invitations",
        "POST /v1/me/mfa/totp/confirm",
        "POST /v1/me/mailbox",
        "POST /v1/me/mailbox/confirm",
        "POST /v1/me/passkeys/options",
        "POST /v1/me/passkeys",
        "DELETE /v1/me/passkeys/{id}",
        "POST /v1/me/identities/{provider}/authorize",
        "DELETE /v1/me/identities/{id}",
        "POST /v1/users/{id}/second-factor/reset",
        "PUT /v1/roles/{name}/second-factor",
    ] {
        assert!(demanding.iter().any(|name| name == expected), "{expected} is not among {demanding:?}");
    }
}

#[actix_web::test]
async fn where_there_is_a_second_factor_the_password_alone_is_no_proof() {
    let app = TestApp::start().await;
    let mut ada = app.member(ADA).await;
    let (authenticator, _) = ada.add_totp().await;
    app.clock.advance(Duration::minutes(11));
    let change = json!({ "email": "thief@evil.example" });
    let refused = ada.post("/v1/me/email", change.clone()).await;
    assert_eq!((refused.code().as_str(), refused.header("www-authenticate")), ("STEP_UP_REQUIRED", challenge("aal2").as_str()));
    let by_password = ada.step_up(json!({ "password": PASSWORD })).await;
    assert_eq!((by_password.status.as_u16(), by_password.json()["error"]["fields"][0]["field"].clone()), (422, json!("password")));
    let old = ada.clone();
    assert_eq!(ada.step_up(json!({ "code": authenticator.code(&app) })).await.status, 200);
    assert_eq!(ada.post("/v1/me/email", change.clone()).await.status, 202);
    assert_eq!(old.get("/v1/me").await.status, 401, "the cookie of before leads nowhere");
    let mut stale_token = ada.clone();
    stale_token.csrf = old.csrf;
    assert_eq!(stale_token.post("/v1/me/email", change.clone()).await.code(), "CSRF_REJECTED", "nor is the CSRF token of before good");
    app.clock.advance(Duration::minutes(10) + Duration::SECOND);
    assert_eq!(ada.post("/v1/me/email", change).await.code(), "STEP_UP_REQUIRED");
}

#[actix_web::test]
async fn an_access_token_tells_of_the_proof_that_it_was_made_after() {
    let app = TestApp::start().await;
    let (mut ada, refresh) = app.token_member(ADA).await;
    app.clock.advance(Duration::minutes(11));
    let begin = async |who: &crate::support::app::Actor<'_>| who.post("/v1/me/mailbox", json!({})).await;
    assert_eq!(begin(&ada).await.code(), "STEP_UP_REQUIRED");
    let old = ada.clone();
    let stepped = ada.step_up(json!({ "password": PASSWORD })).await;
    assert_eq!((stepped.status.as_u16(), stepped.json()["csrf_token"].clone()), (200, json!(null)));
    assert_eq!(begin(&ada).await.status, 202);
    assert_eq!(begin(&old).await.code(), "INVALID_TOKEN", "the token of before is worth nothing");
    assert_eq!(old.exchange(&refresh).await.status, 401, "nor is a copy of the refresh token of before");
    ada.add_totp().await;
    let verified = ada.get("/v1/auth/verify").await;
    assert_eq!(verified.header("x-auth-assurance"), "2");
}

#[actix_web::test]
async fn the_second_level_falls_back_when_nobody_uses_the_session_and_after_a_day() {
    let long = [("PORTCULLIS_SESSION_IDLE_MINUTES", "1440"), ("PORTCULLIS_SESSION_ABSOLUTE_HOURS", "72")];
    let app = TestApp::with(&long).await;
    let root = async || {
        let mut root = app.sign_in("root@example.org").await;
        let (authenticator, _) = root.add_totp().await;
        (root, authenticator)
    };
    app.administrator().await;
    let (mut root, authenticator) = root().await;
    assert_eq!(root.put("/v1/roles/administrator/second-factor", json!({ "required": true })).await.status, 200);
    let used = async |root: &crate::support::app::Actor<'_>, after: Duration| {
        app.clock.advance(after);
        let answer = root.get("/v1/users").await;
        app.marks_of_use_written().await;
        answer.code()
    };
    assert_eq!(used(&root, Duration::minutes(59)).await, "");
    assert_eq!(used(&root, Duration::minutes(61)).await, "STEP_UP_REQUIRED", "unused for an hour");
    assert_eq!(used(&root, Duration::minutes(1)).await, "STEP_UP_REQUIRED", "being used again brings nothing back");
    assert_eq!(root.step_up(json!({ "code": authenticator.code(&app) })).await.status, 200);
    for _ in 0..23 {
        assert_eq!(used(&root, Duration::minutes(59)).await, "");
    }
    assert_eq!(used(&root, Duration::minutes(59)).await, "");
    assert_eq!(used(&root, Duration::minutes(59)).await, "STEP_UP_REQUIRED", "after a day, used or not");
}

#[actix_web::test]
async fn refreshing_keeps_the_second_level_alive_for_a_day_and_not_beyond() {
    let app = TestApp::start().await;
    let (mut ada, _) = app.token_member(ADA).await;
    ada.add_totp().await;
    let mut refresh = ada.refresh_in_body.clone().unwrap();
    let assurance = async |refresh: &mut String| {
        let answer = ada.exchange(refresh).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        *refresh = answer.json()["refresh_token"].as_str().unwrap().to_owned();
        let mut with_new = app.visitor();
        with_new.bearer = answer.json()["access_token"].as_str().map(str::to_owned);
        let claims = crate::support::people::claims(with_new.bearer.as_deref().unwrap());
        assert_eq!(claims["amr"].as_array().unwrap().contains(&json!("mfa")), claims["acr"] == "aal2", "{claims}");
        with_new.get("/v1/auth/verify").await.header("x-auth-assurance").to_owned()
    };
    for _ in 0..24 {
        app.clock.advance(Duration::minutes(59));
        assert_eq!(assurance(&mut refresh).await, "2");
    }
    app.clock.advance(Duration::minutes(59));
    assert_eq!(assurance(&mut refresh).await, "1", "a day is over");
}

#[actix_web::test]
async fn after_a_day_a_code_needs_the_password_beside_it() {
    let app = TestApp::start().await;
    let (mut ada, _) = app.token_member(ADA).await;
    let (authenticator, _) = ada.add_totp().await;
    let refresh = ada.refresh_in_body.clone().unwrap();
    app.clock.advance(Duration::hours(24) + Duration::SECOND);
    let answer = ada.exchange(&refresh).await;
    ada.bearer = answer.json()["access_token"].as_str().map(str::to_owned);
    let code = authenticator.code(&app);
    let alone = ada.step_up(json!({ "code": code })).await;
    assert_eq!((alone.status.as_u16(), alone.json()["error"]["fields"][0]["field"].clone()), (422, json!("password")));
    assert_eq!(ada.step_up(json!({ "code": code, "password": "not it, I fear" })).await.code(), "WRONG_PASSWORD");
    assert_eq!(ada.step_up(json!({ "code": code, "password": PASSWORD })).await.status, 200);
    assert_eq!(ada.get("/v1/auth/verify").await.header("x-auth-assurance"), "2");
}

#[actix_web::test]
async fn the_second_level_does_not_outlive_the_last_second_factor() {
    let app = TestApp::start().await;
    let mut root = app.administrator().await;
    root.add_totp().await;
    assert_eq!(root.put("/v1/roles/administrator/second-factor", json!({ "required": true })).await.status, 200);
    assert_eq!(root.get("/v1/users").await.status, 200);
    root.agree_by_mail().await;
    let removed = root.delete("/v1/me/mfa/totp").await;
    assert_eq!((removed.status.as_u16(), removed.json()["assurance"].clone()), (200, json!(1)));
    root.cookie = removed.cookie();
    assert_eq!(root.get("/v1/users").await.code(), "STEP_UP_REQUIRED");
}

#[actix_web::test]
async fn renewing_twice_at_once_fails_neither() {
    let app = TestApp::start().await;
    let ada = app.member(ADA).await;
    let answers = futures_util::future::join_all((0..4).map(|_| ada.post("/v1/auth/step-up", json!({ "password": PASSWORD })))).await;
    assert!(answers.iter().all(|answer| answer.status == 200 || answer.status == 401), "{:?}", answers.iter().map(|a| a.status).collect::<Vec<_>>());
    assert!(answers.iter().any(|answer| answer.status == 200));
}

#[actix_web::test]
async fn a_stolen_session_does_not_guess_the_second_factor_for_ever() {
    let app = TestApp::with(&[("PORTCULLIS_SECOND_FACTOR_QUOTA", "4"), ("PORTCULLIS_LOGIN_FAILURES", "6")]).await;
    let mut ada = app.member(ADA).await;
    let (authenticator, codes) = ada.add_totp().await;
    let guess = json!({ "code": "000000" });
    for expected in ["INVALID_SECOND_FACTOR", "INVALID_SECOND_FACTOR", "INVALID_SECOND_FACTOR", "INVALID_SECOND_FACTOR", "RATE_LIMITED"] {
        assert_eq!(ada.step_up(guess.clone()).await.code(), expected);
    }
    app.clock.advance(Duration::minutes(16));
    assert_eq!(ada.get("/v1/me").await.status, 200);
    app.marks_of_use_written().await;
    for _ in 0..2 {
        assert_eq!(ada.step_up(guess.clone()).await.code(), "INVALID_SECOND_FACTOR");
    }
    assert_eq!(ada.step_up(json!({ "code": authenticator.code(&app) })).await.code(), "INVALID_SECOND_FACTOR", "even the right one");
    assert_eq!(ada.get("/v1/me").await.status, 200, "nobody is put out by that");
    assert_eq!(ada.step_up(json!({ "recovery_code": codes[0] })).await.status, 200, "which nobody can guess");
    app.clock.advance(Duration::minutes(16));
    assert_eq!(ada.step_up(json!({ "code": authenticator.code(&app) })).await.status, 200);
}
