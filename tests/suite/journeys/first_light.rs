//! One account walks through the house.

use crate::support::app::{PASSWORD, TestApp};
use serde_json::json;

#[actix_web::test]
async fn a_newcomer_registers_by_link_signs_in_changes_their_name_and_signs_out() {
    let app = TestApp::start().await;
    let mut ada = app.visitor();
    let begun = ada.post("/v1/auth/register", json!({ "email": "Ada@Example.org" })).await;
    assert_eq!((begun.status.as_u16(), begun.json()["expires_in"].as_i64()), (202, Some(900)));

    let token = app.letter_to("ada@example.org").await.token.unwrap();
    let weak = ada.post("/v1/auth/register/complete", json!({ "token": token, "name": "Ada", "password": "short" })).await;
    assert_eq!((weak.status.as_u16(), weak.json()["error"]["fields"][0]["field"].as_str()), (422, Some("password")));
    let done = ada.post("/v1/auth/register/complete", json!({ "token": token, "name": " Ada ", "password": PASSWORD })).await;
    assert_eq!(done.status, 201, "a refused password cost no new letter: {}", done.text);
    assert!(done.cookie().is_none(), "completing signs nobody in");

    assert_eq!(ada.get("/v1/me").await.status, 401);
    let signed_in = ada.sign_in("ADA@example.org", PASSWORD).await;
    assert_eq!(signed_in.json()["account_id"], done.json()["account_id"]);
    let me = ada.get("/v1/me").await.json();
    assert_eq!((me["email"].as_str(), me["name"].as_str()), (Some("ada@example.org"), Some("Ada")));
    assert!(me["created_at"].as_str().unwrap().ends_with('Z'), "{me}");
    assert_eq!(ada.get("/v1/auth/csrf").await.json()["csrf_token"].as_str(), ada.csrf.as_deref());

    app.clock.advance(time::Duration::SECOND);
    let renamed = ada.patch("/v1/me", json!({ "name": "Countess Lovelace" })).await.json();
    assert_eq!(renamed["name"], "Countess Lovelace");
    assert_ne!(renamed["updated_at"], me["updated_at"]);

    let out = ada.post("/v1/auth/logout", json!({})).await;
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{}", out.header("set-cookie"));
    assert_eq!(ada.get("/v1/me").await.status, 401);
}

#[actix_web::test]
async fn a_registration_completes_by_typed_code() {
    let app = TestApp::start().await;
    let begun = app.visitor().post("/v1/auth/register", json!({ "email": "ada@example.org" })).await.json();
    let code = app.letter_to("ada@example.org").await.code.unwrap();
    let body = |code: &str| json!({ "proof_id": begun["proof_id"], "code": code, "name": "Ada", "password": PASSWORD });
    let wrong = if code == "00000000" { "00000001" } else { "00000000" };
    assert_eq!(app.visitor().post("/v1/auth/register/complete", body(wrong)).await.code(), "INVALID_PROOF");
    assert_eq!(app.visitor().post("/v1/auth/register/complete", body(&code)).await.status, 201);
    assert_eq!(app.visitor().post("/v1/auth/register/complete", body(&code)).await.code(), "INVALID_PROOF", "spent");
    app.sign_in("ada@example.org").await;
}

#[actix_web::test]
async fn a_link_runs_out_when_the_answer_said_so() {
    let app = TestApp::start().await;
    app.visitor().post("/v1/auth/register", json!({ "email": "ada@example.org" })).await;
    let token = app.letter_to("ada@example.org").await.token.unwrap();
    app.clock.advance(time::Duration::seconds(900));
    let late = app.visitor().post("/v1/auth/register/complete", json!({ "token": token, "name": "Ada", "password": PASSWORD })).await;
    assert_eq!((late.status.as_u16(), late.code().as_str()), (400, "INVALID_PROOF"));
}
