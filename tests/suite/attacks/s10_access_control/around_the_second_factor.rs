//! Somebody who has the password, or the mailbox, or a session from before, gets in without the second factor.

use crate::support::app::{PASSWORD, TestApp};
use serde_json::json;
use time::Duration;

const ADA: &str = "ada@example.org";
const NEW: &str = "slow copper rain on wide steps";

#[actix_web::test]
async fn a_new_password_by_letter_leaves_the_second_factor_required() {
    let app = TestApp::start().await;
    let mut ada = app.member(ADA).await;
    let (authenticator, _) = ada.add_totp().await;
    app.visitor().post("/v1/auth/password/forgot", json!({ "email": ADA })).await;
    let letter = app.letter_about(ADA, "/go/reset").await;
    let mut thief = app.visitor();
    let waiting = thief.half_sign_in(ADA, PASSWORD).await;
    assert_eq!(thief.post("/v1/auth/password/reset", json!({ "token": letter.token, "password": NEW })).await.status, 204);
    app.clock.advance(Duration::seconds(90));
    let late = thief.show(&waiting, json!({ "code": authenticator.code(&app) })).await;
    assert_eq!(late.code(), "INVALID_CHALLENGE", "a sign-in with the old password is over");
    let token = thief.half_sign_in(ADA, NEW).await;
    assert_eq!(thief.show(&token, json!({ "code": authenticator.code(&app) })).await.status, 200);
}

#[actix_web::test]
async fn half_a_sign_in_opens_nothing() {
    let app = TestApp::start().await;
    app.member(ADA).await.add_totp().await;
    for transport in ["cookie", "token"] {
        let asked = app.visitor().post("/v1/auth/login", json!({ "email": ADA, "password": PASSWORD, "transport": transport })).await;
        assert_eq!((asked.status.as_u16(), asked.headers.contains_key("set-cookie")), (202, false), "{transport}");
        assert!(asked.json().get("access_token").is_none());
        assert_eq!(asked.json()["methods"], json!(["totp", "recovery_code"]));
        let token = asked.json()["mfa_token"].as_str().unwrap().to_owned();
        let mut holder = app.visitor();
        holder.bearer = Some(token.clone());
        assert_eq!(holder.get("/v1/me").await.code(), "INVALID_TOKEN");
        holder.bearer = None;
        holder.cookie = Some(format!("__Host-portcullis={token}"));
        assert_eq!(holder.get("/v1/me").await.status, 401);
        for _ in 0..6 {
            assert_eq!(app.visitor().show(&token, json!({ "code": "12345" })).await.status, 422, "no guess");
        }
        for shown in [json!({}), json!({ "code": "" }), json!({ "code": "12345678" }), json!({ "recovery_code": "" }), json!({ "code": null })] {
            assert_ne!(app.visitor().show(&token, shown).await.status, 200);
        }
    }
}

#[actix_web::test]
async fn a_sign_in_that_waits_ends_by_itself_and_with_the_account() {
    let app = TestApp::start().await;
    let (authenticator, _) = app.member(ADA).await.add_totp().await;
    let late = app.visitor().half_sign_in(ADA, PASSWORD).await;
    app.clock.advance(Duration::minutes(10) + Duration::SECOND);
    assert_eq!(app.visitor().show(&late, json!({ "code": authenticator.code(&app) })).await.code(), "INVALID_CHALLENGE");
    let root = app.administrator().await;
    let waiting = app.visitor().half_sign_in(ADA, PASSWORD).await;
    let id = app.id_of(ADA).await;
    assert_eq!(root.put(&format!("/v1/users/{id}/disabled"), json!({ "disabled": true })).await.status, 200);
    assert_eq!(app.visitor().show(&waiting, json!({ "code": authenticator.code(&app) })).await.code(), "INVALID_CHALLENGE");
}

#[actix_web::test]
async fn the_first_second_factor_ends_the_sessions_that_began_without_it() {
    let app = TestApp::start().await;
    let (mut ada, (other, refresh)) = (app.member(ADA).await, app.token_sign_in(ADA).await);
    ada.add_totp().await;
    assert_eq!(ada.get("/v1/me").await.status, 200);
    assert_eq!(other.get("/v1/me").await.status, 401);
    assert_eq!(other.exchange(&refresh).await.status, 401);
    assert!(app.letter_about(ADA, "authenticator app").await.text.contains("new second factor"));
}

#[actix_web::test]
async fn the_owner_is_told_of_a_right_password_with_a_wrong_second_factor() {
    let app = TestApp::start().await;
    app.member(ADA).await.add_totp().await;
    let mut thief = app.visitor();
    let token = thief.half_sign_in(ADA, PASSWORD).await;
    for _ in 0..2 {
        assert_eq!(thief.show(&token, json!({ "code": "000000" })).await.code(), "INVALID_SECOND_FACTOR");
    }
    app.letter_about(ADA, "a wrong second factor").await;
}

#[actix_web::test]
async fn letters_about_wrong_second_factors_do_not_use_up_the_others() {
    let app = TestApp::with(&[("PORTCULLIS_NOTICE_QUOTA", "5"), ("PORTCULLIS_SECOND_FACTOR_QUOTA", "1000")]).await;
    let (authenticator, _) = app.member(ADA).await.add_totp().await;
    for _ in 0..7 {
        let mut thief = app.visitor();
        let token = thief.half_sign_in(ADA, PASSWORD).await;
        assert_eq!(thief.show(&token, json!({ "code": "000000" })).await.code(), "INVALID_SECOND_FACTOR");
    }
    app.clock.advance(Duration::seconds(90));
    let mut thief = app.visitor();
    let token = thief.half_sign_in(ADA, PASSWORD).await;
    assert_eq!(thief.show(&token, json!({ "code": authenticator.code(&app) })).await.status, 200);
    app.letter_about(ADA, "/go/disown").await;
    app.all_letters_sent().await;
    let told = app.letters_to(ADA).iter().filter(|letter| letter.text.contains("a wrong second factor")).count();
    assert_eq!(told, 1, "one in a while");
}
