//! An authenticator app: set up, used by both transports, lost and found again.

use crate::support::app::{PASSWORD, TestApp};
use serde_json::json;
use time::Duration;

const ADA: &str = "ada@example.org";

#[actix_web::test]
async fn ada_sets_up_an_app_signs_in_with_it_and_removes_it() {
    let app = TestApp::start().await;
    let mut ada = app.member(ADA).await;
    assert_eq!(ada.get("/v1/me/mfa").await.json()["is_on"], json!(false));

    assert_eq!(ada.post("/v1/me/mfa/totp", json!({})).await.code(), "MAILBOX_PROOF_REQUIRED");
    ada.agree_by_mail().await;
    let begun = ada.post("/v1/me/mfa/totp", json!({})).await;
    let (uri, svg) = (begun.json()["otpauth_uri"].clone(), begun.json()["qr_svg"].clone());
    assert!(uri.as_str().unwrap().starts_with("otpauth://totp/localhost:ada%40example.org?"), "{uri}");
    assert!(svg.as_str().unwrap().contains("<svg"), "{svg}");
    assert_eq!(app.visitor().sign_in(ADA, PASSWORD).await.status, 200, "not confirmed: not asked for");
    assert_eq!(ada.post("/v1/me/mfa/totp/confirm", json!({ "code": "000000" })).await.code(), "INVALID_SECOND_FACTOR");
    let there_is = ada.get("/v1/me/mfa").await.json();
    assert_eq!((there_is["has_password"].clone(), there_is["assurance"].clone()), (json!(true), json!(1)));

    let (authenticator, codes) = ada.add_totp().await;
    assert_eq!(codes.len(), 10);
    assert_eq!(ada.post("/v1/me/mfa/totp", json!({})).await.code(), "ALREADY_EXISTS");
    let there_is = ada.get("/v1/me/mfa").await.json();
    assert_eq!((there_is["is_on"].clone(), there_is["recovery_codes_left"].clone()), (json!(true), json!(10)));

    app.clock.advance(Duration::seconds(90));
    let mut elsewhere = app.visitor();
    let token = elsewhere.half_sign_in(ADA, PASSWORD).await;
    assert_eq!(elsewhere.show(&token, json!({ "code": authenticator.code(&app) })).await.status, 200);
    assert_eq!(elsewhere.get("/v1/me").await.status, 200);
    let asked = app.visitor().post("/v1/auth/login", json!({ "email": ADA, "password": PASSWORD, "transport": "token", "refresh_in": "body" })).await;
    let mut by_token = app.visitor();
    let shown = by_token.show(asked.json()["mfa_token"].as_str().unwrap(), json!({ "recovery_code": codes[0] })).await;
    assert!(shown.json()["refresh_token"].is_string(), "{}", shown.text);
    assert_eq!(by_token.get("/v1/auth/verify").await.header("x-auth-assurance"), "2");

    app.clock.advance(Duration::seconds(90));
    assert_eq!(ada.step_up(json!({ "code": authenticator.code(&app) })).await.status, 200);
    ada.agree_by_mail().await;
    let removed = ada.delete("/v1/me/mfa/totp").await;
    assert_eq!(removed.status, 200);
    ada.renew(&removed, &removed.json());
    assert_eq!(ada.delete("/v1/me/mfa/totp").await.status, 404);
    let there_is = ada.get("/v1/me/mfa").await.json();
    assert_eq!((there_is["is_on"].clone(), there_is["recovery_codes_left"].clone()), (json!(false), json!(0)));
    app.letter_about(ADA, "removed from your account").await;
    assert_eq!(app.visitor().sign_in(ADA, PASSWORD).await.status, 200);
    let events = ada.get("/v1/me/events").await.text;
    for event in ["second_factor.added", "second_factor.removed", "session.stepped_up", "session.second_factor_awaited", "second_factor.refused"] {
        assert!(events.contains(event), "{event}: {events}");
    }
}

#[actix_web::test]
async fn few_recovery_codes_are_told() {
    let app = TestApp::start().await;
    let (_, codes) = app.member(ADA).await.add_totp().await;
    for code in &codes[..7] {
        let mut visitor = app.visitor();
        let token = visitor.half_sign_in(ADA, PASSWORD).await;
        assert_eq!(visitor.show(&token, json!({ "recovery_code": code })).await.status, 200);
    }
    app.letter_about(ADA, "3 left: make new ones").await;
    let mut visitor = app.visitor();
    let token = visitor.half_sign_in(ADA, PASSWORD).await;
    visitor.show(&token, json!({ "recovery_code": codes[7] })).await;
    assert_eq!(visitor.get("/v1/me/mfa").await.json()["recovery_codes_are_few"], json!(true));
}
