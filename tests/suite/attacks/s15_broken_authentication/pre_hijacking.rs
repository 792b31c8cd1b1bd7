//! The attacker registers the victim's address first, and waits for the victim to use the account that they prepared.

use crate::support::app::{PASSWORD, TestApp};
use serde_json::json;

#[actix_web::test]
async fn nothing_that_a_stranger_began_survives_the_owners_completion() {
    let app = TestApp::start().await;
    let mallory = app.visitor();
    let begun = mallory.post("/v1/auth/register", json!({ "email": "ada@example.org" })).await.json();
    assert_eq!(app.count("SELECT count(*) FROM users").await, 0, "no account and no password before the mailbox is proven");
    let strangers_code = app.letter_to("ada@example.org").await.code.unwrap();

    app.all_letters_sent().await;
    app.visitor().post("/v1/auth/register", json!({ "email": "ada@example.org" })).await;
    app.all_letters_sent().await;
    let own = app.letters_to("ada@example.org").pop().unwrap().token.unwrap();
    let done = app.visitor().post("/v1/auth/register/complete", json!({ "token": own, "name": "Ada", "password": PASSWORD })).await;
    assert_eq!(done.status, 201);

    // even with the code of the letter that the stranger caused: it died with the owner's completion
    let body = json!({ "proof_id": begun["proof_id"], "code": strangers_code, "name": "M", "password": "mallory has chosen this one" });
    assert_eq!(mallory.post("/v1/auth/register/complete", body).await.code(), "INVALID_PROOF");
    assert_eq!(app.visitor().sign_in("ada@example.org", "mallory has chosen this one").await.status, 401);
    assert_eq!(app.visitor().sign_in("ada@example.org", PASSWORD).await.status, 200);
}

#[actix_web::test]
async fn an_account_that_exists_is_not_taken_over_by_registering_it_again() {
    let app = TestApp::start().await;
    app.create_account("ada@example.org").await;
    let begun = app.visitor().post("/v1/auth/register", json!({ "email": "ada@example.org" })).await.json();
    // the attacker cannot read the code: it is in no letter. Give them the best case, a link made from the stored row
    let token = portcullis::platform::crypto::SecretToken::generate();
    let planted = sqlx::query("UPDATE mailed_proofs SET link_digest = $1 WHERE id = $2::uuid")
        .bind(token.digest().as_slice())
        .bind(begun["proof_id"].as_str().unwrap())
        .execute(&app.database.pool)
        .await
        .unwrap();
    assert_eq!(planted.rows_affected(), 1);
    let body = json!({ "token": token.expose(), "name": "Mallory", "password": "mallory has chosen this one" });
    assert_eq!(app.visitor().post("/v1/auth/register/complete", body).await.code(), "INVALID_PROOF");
    assert_eq!(app.visitor().sign_in("ada@example.org", PASSWORD).await.status, 200);
}
