//! Getting back in: a new password by letter, a changed password, a changed address.

use crate::support::app::{PASSWORD, TestApp};
use serde_json::json;

const NEW: &str = "slow copper rain on wide steps";

#[actix_web::test]
async fn a_forgotten_password_is_set_anew_by_link_and_everybody_is_out() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    let asked = app.visitor().post("/v1/auth/password/forgot", json!({ "email": "Ada@example.org" })).await;
    assert_eq!((asked.status.as_u16(), asked.json()["expires_in"].as_i64()), (202, Some(900)));
    assert_eq!(ada.get("/v1/me").await.status, 200, "nothing has changed yet");

    let token = app.letter_about("ada@example.org", "/go/reset").await.token;
    let weak = app.visitor().post("/v1/auth/password/reset", json!({ "token": token, "password": "ada@example.org!!" })).await;
    assert_eq!((weak.status.as_u16(), weak.json()["error"]["fields"][0]["field"].as_str()), (422, Some("password")));
    let done = app.visitor().post("/v1/auth/password/reset", json!({ "token": token, "password": NEW })).await;
    assert_eq!(done.status, 204, "a refused password cost no new letter: {}", done.text);
    assert!(done.cookie().is_none(), "a link signs nobody in");

    assert_eq!(ada.get("/v1/me").await.status, 401);
    assert_eq!(app.visitor().sign_in("ada@example.org", PASSWORD).await.status, 401);
    assert_eq!(app.visitor().sign_in("ada@example.org", NEW).await.status, 200);
    app.letter_about("ada@example.org", "was changed").await;
}

#[actix_web::test]
async fn a_forgotten_password_is_set_anew_by_typed_code() {
    let app = TestApp::start().await;
    app.create_account("ada@example.org").await;
    let asked = app.visitor().post("/v1/auth/password/forgot", json!({ "email": "ada@example.org" })).await.json();
    let code = app.letter_about("ada@example.org", "/go/reset").await.code.unwrap();
    let body = |code: &str| json!({ "proof_id": asked["proof_id"], "code": code, "password": NEW });
    let wrong = if code == "00000000" { "00000001" } else { "00000000" };
    assert_eq!(app.visitor().post("/v1/auth/password/reset", body(wrong)).await.code(), "INVALID_PROOF");
    assert_eq!(app.visitor().post("/v1/auth/password/reset", body(&code)).await.status, 204);
    assert_eq!(app.visitor().post("/v1/auth/password/reset", body(&code)).await.code(), "INVALID_PROOF", "spent");
    assert_eq!(app.visitor().sign_in("ada@example.org", NEW).await.status, 200);
}

#[actix_web::test]
async fn a_letter_for_a_new_password_runs_out() {
    let app = TestApp::start().await;
    app.create_account("ada@example.org").await;
    app.visitor().post("/v1/auth/password/forgot", json!({ "email": "ada@example.org" })).await;
    let token = app.letter_about("ada@example.org", "/go/reset").await.token;
    app.clock.advance(time::Duration::minutes(15));
    let late = app.visitor().post("/v1/auth/password/reset", json!({ "token": token, "password": NEW })).await;
    assert_eq!((late.status.as_u16(), late.code().as_str()), (400, "INVALID_PROOF"));
}

#[actix_web::test]
async fn a_signed_in_person_changes_their_password() {
    let app = TestApp::start().await;
    let mut ada = app.member("ada@example.org").await;
    let phone = app.sign_in("ada@example.org").await;
    let wrong = ada.post("/v1/me/password", json!({ "current_password": "not it at all, sorry", "password": NEW })).await;
    assert_eq!((wrong.status.as_u16(), wrong.code().as_str()), (403, "WRONG_PASSWORD"));
    let done = ada.post("/v1/me/password", json!({ "current_password": PASSWORD, "password": NEW })).await;
    assert_eq!(done.status, 200, "{}", done.text);
    ada.cookie = done.cookie();
    ada.csrf = done.json()["csrf_token"].as_str().map(str::to_owned);
    assert_eq!(ada.patch("/v1/me", json!({ "name": "Ada L." })).await.status, 200, "the session goes on");
    assert_eq!(phone.get("/v1/me").await.status, 401, "the other one does not");
    assert_eq!(app.visitor().sign_in("ada@example.org", NEW).await.status, 200);
    app.letter_about("ada@example.org", "was changed").await;
}

#[actix_web::test]
async fn an_address_is_changed_when_the_new_one_is_proven() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    let asked = ada.post("/v1/me/email", json!({ "email": "ada@new.example" })).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    assert_eq!(ada.get("/v1/me").await.json()["email"], "ada@example.org", "not before it is proven");
    let code = app.letter_about("ada@new.example", "/go/email").await.code.unwrap();
    let body = json!({ "proof_id": asked.json()["proof_id"], "code": code });
    assert_eq!(app.visitor().post("/v1/auth/email/confirm", body).await.status, 204);
    assert_eq!(ada.get("/v1/me").await.json()["email"], "ada@new.example");
    assert_eq!(app.visitor().sign_in("ada@example.org", PASSWORD).await.status, 401);
    assert_eq!(app.visitor().sign_in("ada@new.example", PASSWORD).await.status, 200);
    let notice = app.letter_about("ada@example.org", "/go/undo").await;
    assert_eq!(ada.follow("/v1/auth/email/undo", &notice).await.status, 204);
    assert_eq!(ada.get("/v1/me").await.status, 401, "everybody is out");
    assert_eq!(app.visitor().sign_in("ada@example.org", PASSWORD).await.status, 401, "the password is void");
    let token = app.letter_about("ada@example.org", "/go/reset").await.token;
    assert_eq!(app.visitor().post("/v1/auth/password/reset", json!({ "token": token, "password": NEW })).await.status, 204);
    assert_eq!(app.visitor().sign_in("ada@example.org", NEW).await.status, 200);
}
