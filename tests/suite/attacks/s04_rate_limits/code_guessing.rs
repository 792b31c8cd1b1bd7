//! Guessing the eight digits of somebody's registration: five tries, also when a hundred come at once.

use crate::support::app::{PASSWORD, TestApp};
use serde_json::json;

#[actix_web::test]
async fn a_code_dies_after_five_wrong_tries() {
    let app = TestApp::start().await;
    let begun = app.visitor().post("/v1/auth/register", json!({ "email": "ada@example.org" })).await.json();
    let code = app.letter_to("ada@example.org").await.code.unwrap();
    let visitor = app.visitor();
    let body = |code: String| json!({ "proof_id": begun["proof_id"], "code": code, "name": "Mallory", "password": PASSWORD });
    let guesses =
        (0..30).map(|n| format!("{n:08}")).filter(|guess| *guess != code).map(|guess| visitor.post("/v1/auth/register/complete", body(guess)));
    for answer in futures_util::future::join_all(guesses).await {
        assert_eq!(answer.code(), "INVALID_PROOF");
    }
    let right = visitor.post("/v1/auth/register/complete", body(code)).await;
    assert_eq!(right.code(), "INVALID_PROOF", "the right code comes too late");
    assert_eq!(app.count("SELECT count(*) FROM users").await, 0);
}
