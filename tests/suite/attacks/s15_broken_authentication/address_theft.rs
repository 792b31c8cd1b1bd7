//! Somebody at the owner's open browser, who also knows the password, makes the account theirs by changing its address; or asks for
//! an address that is somebody else's.

use crate::support::app::{PASSWORD, TestApp};
use serde_json::json;

#[actix_web::test]
async fn the_old_address_takes_the_account_back_whatever_the_thief_did_next() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    app.clock.advance(time::Duration::minutes(11));
    let mut ada = ada;
    assert_eq!(ada.post("/v1/me/email", json!({ "email": "thief@evil.example" })).await.code(), "STEP_UP_REQUIRED");
    assert_eq!(ada.step_up(json!({ "password": "a wild guess" })).await.code(), "WRONG_PASSWORD");
    assert_eq!(ada.step_up(json!({ "password": PASSWORD })).await.status, 200);

    ada.post("/v1/me/email", json!({ "email": "thief@evil.example" })).await;
    let confirm = app.letter_about("thief@evil.example", "/go/email").await;
    assert_eq!(ada.follow("/v1/auth/email/confirm", &confirm).await.status, 204);
    let undo = app.letter_about("ada@example.org", "/go/undo").await;
    // the thief sets a new password by letter, which ends one-time links, and moves on to a second address
    app.visitor().post("/v1/auth/password/forgot", json!({ "email": "thief@evil.example" })).await;
    let reset = app.letter_about("thief@evil.example", "/go/reset").await;
    let set = json!({ "token": reset.token, "password": "mallory has chosen this one" });
    assert_eq!(app.visitor().post("/v1/auth/password/reset", set).await.status, 204);
    let mut thief = app.visitor();
    assert_eq!(thief.sign_in("thief@evil.example", "mallory has chosen this one").await.status, 200);
    thief.post("/v1/me/email", json!({ "email": "second@evil.example" })).await;
    let confirm = app.letter_about("second@evil.example", "/go/email").await;
    assert_eq!(ada.follow("/v1/auth/email/confirm", &confirm).await.status, 204);
    let thiefs_undo = app.letter_about("thief@evil.example", "/go/undo").await;

    assert_eq!(ada.follow("/v1/auth/email/undo", &undo).await.status, 204);
    assert_eq!(thief.get("/v1/me").await.status, 401);
    assert_eq!(app.count("SELECT count(*) FROM users WHERE email = 'ada@example.org'").await, 1);
    assert_eq!(ada.follow("/v1/auth/email/undo", &thiefs_undo).await.code(), "INVALID_PROOF", "the thief cannot take it back again");
    for email in ["ada@example.org", "thief@evil.example", "second@evil.example"] {
        assert_eq!(app.visitor().sign_in(email, "mallory has chosen this one").await.status, 401, "{email}");
    }
    app.letter_about("ada@example.org", "/go/reset").await;
}

#[actix_web::test]
async fn a_letter_to_the_old_address_resets_nothing_after_the_change() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    app.visitor().post("/v1/auth/password/forgot", json!({ "email": "ada@example.org" })).await;
    let old = app.letter_about("ada@example.org", "/go/reset").await;
    ada.post("/v1/me/email", json!({ "email": "ada@new.example" })).await;
    let confirm = app.letter_about("ada@new.example", "/go/email").await;
    assert_eq!(ada.follow("/v1/auth/email/confirm", &confirm).await.status, 204);
    let set = json!({ "token": old.token, "password": "mallory has chosen this one" });
    assert_eq!(app.visitor().post("/v1/auth/password/reset", set.clone()).await.code(), "INVALID_PROOF");
    // the second wall, with the first one taken away: the link counts for the address that it was sent to
    sqlx::query("UPDATE mailed_proofs SET used_at = NULL WHERE purpose = 'password_reset'").execute(&app.database.pool).await.unwrap();
    assert_eq!(app.visitor().post("/v1/auth/password/reset", set).await.code(), "INVALID_PROOF");
}

#[actix_web::test]
async fn an_address_that_has_an_account_cannot_be_taken_and_is_not_betrayed() {
    let app = TestApp::start().await;
    let mallory = app.member("mallory@example.org").await;
    app.create_account("ada@example.org").await;
    let ask = |email: &str| mallory.post("/v1/me/email", json!({ "email": email }));
    let (taken, free) = (ask("ada@example.org").await, ask("free@example.org").await);
    assert_eq!((taken.status, taken.text.len()), (free.status, free.text.len()));
    let letter = app.letter_about("ada@example.org", "wanted to use this address").await;
    assert!(letter.token.is_none() && letter.code.is_none());
    // in the best case for the attacker, somebody registers the free address meanwhile
    let confirm = app.letter_about("free@example.org", "/go/email").await;
    app.create_account("free@example.org").await;
    assert_eq!(mallory.follow("/v1/auth/email/confirm", &confirm).await.code(), "INVALID_PROOF");
    assert_eq!(mallory.get("/v1/me").await.json()["email"], "mallory@example.org");
}

/// The thief closes the account: the owner's link must neither be refused meanwhile nor run out before the end.
#[actix_web::test]
async fn closing_the_account_does_not_cut_the_owners_way_back() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    ada.post("/v1/me/email", json!({ "email": "thief@evil.example" })).await;
    let confirm = app.letter_about("thief@evil.example", "/go/email").await;
    assert_eq!(ada.follow("/v1/auth/email/confirm", &confirm).await.status, 204);
    let undo = app.letter_about("ada@example.org", "/go/undo").await;
    assert_eq!(ada.post("/v1/me/close", json!({ "email": "thief@evil.example" })).await.status, 200);
    let keep = app.letter_about("thief@evil.example", "/go/keep").await;
    app.clock.advance(time::Duration::days(13));
    assert_eq!(ada.follow("/v1/auth/email/undo", &undo).await.status, 204, "after the link's own seven days");
    assert_eq!(app.count("SELECT count(*) FROM users WHERE email = 'ada@example.org' AND status = 'active'").await, 1);
    assert_eq!(ada.follow("/v1/auth/account/keep", &keep).await.code(), "INVALID_PROOF");
    app.letter_about("ada@example.org", "was made useless").await;
}

/// The thief goes away and comes back, so that the owner confirms their own address again: no link stays with the thief.
#[actix_web::test]
async fn an_address_in_between_keeps_no_link() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    for (from, to) in [("ada@example.org", "thief@evil.example"), ("thief@evil.example", "ada@example.org")] {
        ada.post("/v1/me/email", json!({ "email": to })).await;
        app.all_letters_sent().await;
        let confirm = app.letter_about(to, "/go/email").await;
        assert_eq!(ada.follow("/v1/auth/email/confirm", &confirm).await.status, 204, "{from} → {to}");
    }
    app.all_letters_sent().await;
    assert!(app.letters_to("thief@evil.example").iter().all(|letter| !letter.text.contains("/go/undo")));
    let first = app.letter_about("ada@example.org", "/go/undo").await;
    assert_eq!(ada.follow("/v1/auth/email/undo", &first).await.code(), "INVALID_PROOF", "it has done its work");
}
