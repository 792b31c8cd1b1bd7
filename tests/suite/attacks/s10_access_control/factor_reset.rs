//! The help for who has lost the second factor is used by others: a stranger, an administrator alone, whoever reads the mail alone.

use crate::support::app::{PASSWORD, TestApp};
use serde_json::json;
use time::Duration;

const ADA: &str = "ada@example.org";

#[actix_web::test]
async fn an_administrators_help_takes_the_owners_letter_too_and_once_within_a_day() {
    let app = TestApp::start().await;
    let mut ada = app.member(ADA).await;
    ada.add_totp().await;
    let mut root = app.administrator().await;
    let id = app.id_of(ADA).await;
    let allow = format!("/v1/users/{id}/second-factor/reset");
    assert_eq!(ada.post(&allow, json!({})).await.code(), "FORBIDDEN", "nobody helps themselves");

    assert_eq!(root.post(&allow, json!({})).await.status, 204);
    let first = app.letter_about(ADA, "/go/factor").await;
    let token = app.visitor().half_sign_in(ADA, PASSWORD).await;
    assert!(!token.is_empty(), "by itself it changes nothing");
    app.clock.advance(Duration::hours(24) + Duration::SECOND);
    assert_eq!(app.visitor().follow("/v1/auth/mfa/reset", &first).await.code(), "INVALID_PROOF", "a day is over");

    root.sign_in("root@example.org", PASSWORD).await;
    assert_eq!(root.post(&allow, json!({})).await.status, 204);
    let second = app
        .wait_for("the second letter", async || app.letters_to(ADA).into_iter().rfind(|l| l.text.contains("/go/factor") && l.token != first.token))
        .await;
    for path in ["/v1/auth/devices/trust", "/v1/auth/sessions/disown", "/v1/auth/email/undo"] {
        assert_eq!(app.visitor().follow(path, &second).await.code(), "INVALID_PROOF", "{path}");
    }
    let answers = futures_util::future::join_all((0..100).map(|_| async { app.visitor().follow("/v1/auth/mfa/reset", &second).await })).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 204).count(), 1, "{}", answers[7].text);
    assert_eq!(ada.get("/v1/me").await.status, 401, "everybody is signed out");
    app.letter_about(ADA, "every second factor").await;
    assert_eq!(app.visitor().sign_in(ADA, PASSWORD).await.status, 200, "with the first factor, as before");
    let events = root.get(&format!("/v1/audit/events?subject={id}")).await.text;
    assert!(events.contains("second_factor.reset_allowed") && events.contains("\"second_factor.reset\""), "{events}");
}

#[actix_web::test]
async fn a_link_does_not_outlive_the_need_for_it() {
    let app = TestApp::start().await;
    let mut ada = app.member(ADA).await;
    let (authenticator, codes) = ada.add_totp().await;
    let root = app.administrator().await;
    let allow = format!("/v1/users/{}/second-factor/reset", app.id_of(ADA).await);
    assert_eq!(root.post(&allow, json!({})).await.status, 204);
    let link = app.letter_about(ADA, "/go/factor").await;
    let mut elsewhere = app.visitor();
    let token = elsewhere.half_sign_in(ADA, PASSWORD).await;
    assert_eq!(elsewhere.show(&token, json!({ "recovery_code": codes[0] })).await.status, 200, "found again");
    assert_eq!(app.visitor().follow("/v1/auth/mfa/reset", &link).await.code(), "INVALID_PROOF");

    assert_eq!(root.post(&allow, json!({})).await.status, 204);
    let link = app
        .wait_for("the second letter", async || app.letters_to(ADA).into_iter().rfind(|l| l.text.contains("/go/factor") && l.token != link.token))
        .await;
    app.clock.advance(Duration::seconds(90));
    assert_eq!(ada.step_up(json!({ "code": authenticator.code(&app) })).await.status, 200);
    assert_eq!(ada.post("/v1/me/email", json!({ "email": "ada@new.example" })).await.status, 202);
    let confirm = app.letter_about("ada@new.example", "/go/email").await;
    assert_eq!(ada.follow("/v1/auth/email/confirm", &confirm).await.status, 204);
    assert_eq!(app.visitor().follow("/v1/auth/mfa/reset", &link).await.code(), "INVALID_PROOF", "of an address that the account has left");
}

#[actix_web::test]
async fn nobody_helps_somebody_who_may_do_more() {
    let app = TestApp::start().await;
    let mut root = app.administrator().await;
    root.add_totp().await;
    app.role("helper", &["users:read", "users:manage"]).await;
    let helper = app.member_with("helper@example.org", "helper").await;
    let allow = format!("/v1/users/{}/second-factor/reset", app.id_of("root@example.org").await);
    for _ in 0..120 {
        assert_eq!(helper.post(&allow, json!({})).await.code(), "FORBIDDEN");
    }
    let forgot = app.visitor().post("/v1/auth/password/forgot", json!({ "email": "root@example.org" })).await;
    assert_eq!(forgot.status, 202, "and uses nothing of theirs up");
    let none = format!("/v1/users/{}/second-factor/reset", app.id_of("helper@example.org").await);
    assert_eq!(helper.post(&none, json!({})).await.code(), "NOT_FOUND", "there is nothing to take away");
}
