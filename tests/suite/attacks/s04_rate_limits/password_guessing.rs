//! Guessing one account's password, from one address and from many, in parallel.

use crate::support::app::{PASSWORD, TestApp};
use serde_json::json;

#[actix_web::test]
async fn guessing_from_one_address_ends_and_the_owner_elsewhere_gets_in() {
    let app = TestApp::with(&[("PORTCULLIS_LOGIN_QUOTA", "4"), ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1/32")]).await;
    app.create_account("ada@example.org").await;
    let from = |address: &str, password: &str| {
        let body = json!({ "email": "ada@example.org", "password": password });
        app.visitor().post_from(address, "/v1/auth/login", body)
    };
    let before = app.state.passwords.computed();
    let guesses = futures_util::future::join_all((0..12).map(|n| from("203.0.113.1", &format!("guess number {n}")))).await;
    assert_eq!(guesses.iter().filter(|answer| answer.status == 401).count(), 4, "parallel guesses cannot outrun the counter");
    assert_eq!(guesses.iter().filter(|answer| answer.status == 429).count(), 8);
    assert_eq!(app.state.passwords.computed() - before, 4, "a refused guess costs no hash");

    assert_eq!(from("203.0.113.1", PASSWORD).await.status, 429, "even the right password, from there");
    for _ in 0..6 {
        assert_eq!(from("198.51.100.7", PASSWORD).await.status, 200, "the owner's successes use nothing up");
    }
    app.clock.advance(time::Duration::minutes(16));
    assert_eq!(from("203.0.113.1", PASSWORD).await.status, 200, "the window has passed, by slices of a minute");
}

#[actix_web::test]
async fn guessing_from_many_addresses_ends_too() {
    let app = TestApp::with(&[("PORTCULLIS_LOGIN_ACCOUNT_QUOTA", "6"), ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1/32")]).await;
    app.create_account("ada@example.org").await;
    let calls = (0..20).map(|n| {
        let body = json!({ "email": "ada@example.org", "password": format!("guess number {n}") });
        app.visitor().post_from(&format!("203.0.113.{n}"), "/v1/auth/login", body)
    });
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 6);
}

#[actix_web::test]
async fn one_password_tried_on_many_accounts_from_one_address_ends_too() {
    let app = TestApp::with(&[("PORTCULLIS_LOGIN_NETWORK_QUOTA", "5"), ("PORTCULLIS_HASH_QUEUE", "100")]).await;
    app.create_account("ada@example.org").await;
    let guesses = (0..15).map(|n| {
        let mut visitor = app.visitor();
        async move { visitor.sign_in(&format!("somebody{n}@example.org"), "the password of the year").await }
    });
    let answers = futures_util::future::join_all(guesses).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 5);
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 10);
}

#[actix_web::test]
async fn guessing_at_an_open_browser_ends_too() {
    let app = TestApp::with(&[("PORTCULLIS_REAUTHENTICATION_QUOTA", "4")]).await;
    let ada = app.member("ada@example.org").await;
    let change = |guess: String| json!({ "current_password": guess, "password": "slow copper rain on wide steps" });
    let answers = futures_util::future::join_all((0..10).map(|n| ada.post("/v1/me/password", change(format!("guess {n}"))))).await;
    assert_eq!(answers.iter().filter(|answer| answer.code() == "WRONG_PASSWORD").count(), 4);
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 6);
    assert_eq!(ada.post("/v1/me/password", change(PASSWORD.into())).await.status, 429, "even the right one");
    assert_eq!(ada.post("/v1/auth/step-up", json!({ "password": PASSWORD })).await.status, 429, "one quota for every call that asks for it");
}
