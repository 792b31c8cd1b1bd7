//! Somebody has the owner's cookie, a link from the owner's letters, or a sign-in under way, when the owner changes the password.

use crate::support::app::{PASSWORD, TestApp};
use serde_json::json;

const NEW: &str = "slow copper rain on wide steps";

#[actix_web::test]
async fn a_changed_password_ends_what_others_hold() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    let thief = ada.clone();
    let elsewhere = app.sign_in("ada@example.org").await;
    app.visitor().post("/v1/auth/password/forgot", json!({ "email": "ada@example.org" })).await;
    ada.post("/v1/me/email", json!({ "email": "other@example.org" })).await;
    let reset = app.letter_about("ada@example.org", "/go/reset").await;
    let disown = app.letter_about("ada@example.org", "/go/disown").await;
    let change = app.letter_about("other@example.org", "/go/email").await;

    let done = ada.post("/v1/me/password", json!({ "current_password": PASSWORD, "password": NEW })).await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert_ne!(done.cookie(), ada.cookie, "the session's id is renewed");
    assert_ne!(done.json()["csrf_token"].as_str(), ada.csrf.as_deref(), "and its CSRF token");
    assert_eq!(thief.get("/v1/me").await.status, 401, "a copy of the old cookie leads nowhere");
    assert_eq!(elsewhere.get("/v1/me").await.status, 401);
    let with_reset = json!({ "token": reset.token, "password": "mallory has chosen this one" });
    assert_eq!(app.visitor().post("/v1/auth/password/reset", with_reset).await.code(), "INVALID_PROOF");
    assert_eq!(ada.follow("/v1/auth/email/confirm", &change).await.code(), "INVALID_PROOF");
    let mut known_before = thief;
    known_before.sign_in("ada@example.org", NEW).await;
    let letters = app.wait_for("a letter", async || {
        let about = app.letters_to("ada@example.org").into_iter().filter(|letter| letter.text.contains("/go/disown")).count();
        (about == 2).then_some(about)
    });
    assert_eq!(letters.await, 2, "a device known before is a new one now");
    assert_eq!(ada.follow("/v1/auth/sessions/disown", &disown).await.status, 204, "the owner's way back is there, whoever changed the password");
}

/// The sign-in verified the old password before the reset and makes its session after it.
#[actix_web::test]
async fn a_sign_in_under_way_does_not_outlive_the_reset() {
    let app = TestApp::with(&[("PORTCULLIS_HASH_QUEUE", "100")]).await;
    app.create_account("ada@example.org").await;
    for round in 0..4 {
        app.visitor().post("/v1/auth/password/forgot", json!({ "email": "ada@example.org" })).await;
        app.all_letters_sent().await;
        let token = app.letter_about("ada@example.org", "/go/reset").await.token;
        let old = if round == 0 { PASSWORD.to_owned() } else { format!("{NEW} {}", round - 1) };
        let reset = json!({ "token": token, "password": format!("{NEW} {round}") });
        let visitors: Vec<_> = (0..8).map(|_| app.visitor()).collect();
        let sign_ins = futures_util::future::join_all(visitors.into_iter().map(|mut visitor| {
            let old = old.clone();
            async move {
                visitor.sign_in("ada@example.org", &old).await;
                visitor
            }
        }));
        let asker = app.visitor();
        let (visitors, done) = futures_util::future::join(sign_ins, asker.post("/v1/auth/password/reset", reset)).await;
        assert_eq!(done.status, 204, "{}", done.text);
        for visitor in visitors {
            assert_eq!(visitor.get("/v1/me").await.status, 401, "signed in with the old password after it was void");
        }
    }
}
