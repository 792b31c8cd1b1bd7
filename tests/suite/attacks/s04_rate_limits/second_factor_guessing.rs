//! Somebody who has the password guesses the code: a million there are, and three are right at any time.

use crate::support::app::{PASSWORD, TestApp};
use futures_util::future::join_all;
use serde_json::json;
use time::Duration;

const ADA: &str = "ada@example.org";

#[actix_web::test]
async fn five_wrong_codes_end_the_sign_in() {
    let app = TestApp::with(&[("PORTCULLIS_SECOND_FACTOR_QUOTA", "1000")]).await;
    let (authenticator, _) = app.member(ADA).await.add_totp().await;
    app.clock.advance(Duration::seconds(90));
    let token = app.visitor().half_sign_in(ADA, PASSWORD).await;
    let guesses = join_all((0..20).map(|_| async { app.visitor().show(&token, json!({ "code": "000000" })).await })).await;
    assert_eq!(guesses.iter().filter(|answer| answer.code() == "INVALID_SECOND_FACTOR").count(), 5, "parallel guesses cannot outrun the counter");
    assert_eq!(guesses.iter().filter(|answer| answer.code() == "INVALID_CHALLENGE").count(), 15);
    assert_eq!(app.visitor().show(&token, json!({ "code": authenticator.code(&app) })).await.code(), "INVALID_CHALLENGE", "even the right one");
}

#[actix_web::test]
async fn beginning_anew_brings_no_more_guesses_and_the_owners_device_gets_in() {
    let app = TestApp::with(&[("PORTCULLIS_SECOND_FACTOR_QUOTA", "7")]).await;
    let mut ada = app.member(ADA).await;
    let (authenticator, recovery_codes) = ada.add_totp().await;
    let mut codes = Vec::new();
    for _ in 0..4 {
        let token = app.visitor().half_sign_in(ADA, PASSWORD).await;
        for _ in 0..3 {
            codes.push(app.visitor().show(&token, json!({ "code": "000000" })).await.code());
        }
    }
    assert_eq!(codes.iter().filter(|code| *code == "INVALID_SECOND_FACTOR").count(), 7, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| *code == "RATE_LIMITED").count(), 5);
    app.clock.advance(Duration::seconds(90));
    // the browser in which the owner signed in before
    let token = ada.half_sign_in(ADA, PASSWORD).await;
    assert_eq!(ada.show(&token, json!({ "code": authenticator.code(&app) })).await.status, 200);
    let token = app.visitor().half_sign_in(ADA, PASSWORD).await;
    let elsewhere = app.visitor().show(&token, json!({ "code": authenticator.code_in(&app, 1) })).await;
    assert_eq!(elsewhere.code(), "RATE_LIMITED", "even the right one, elsewhere");
    assert_eq!(app.visitor().show(&token, json!({ "recovery_code": recovery_codes[0] })).await.status, 200, "which nobody can guess");
}

/// Whoever reads the mail makes devices known by setting a new password again and again, each with guesses of its own.
#[actix_web::test]
async fn new_devices_bring_no_guesses_beyond_a_hundred() {
    let app = TestApp::with(&[("PORTCULLIS_LOGIN_FAILURES", "6"), ("PORTCULLIS_SECOND_FACTOR_QUOTA", "3")]).await;
    let (authenticator, _) = app.member(ADA).await.add_totp().await;
    let mut wrong = 0;
    for n in 0..3 {
        app.all_letters_sent().await;
        let before = app.letters_to(ADA).len();
        app.visitor().post("/v1/auth/password/forgot", json!({ "email": ADA })).await;
        let letter = app.wait_for("the letter", async || app.letters_to(ADA).into_iter().nth(before)).await;
        let new = format!("slow copper rain on wide steps {n}");
        let mut thief = app.visitor();
        let reset = thief.post("/v1/auth/password/reset", json!({ "token": letter.token, "password": new })).await;
        thief.device = reset.cookie_named("__Host-portcullis-device");
        let token = thief.half_sign_in(ADA, &new).await;
        for _ in 0..2 {
            wrong += usize::from(thief.show(&token, json!({ "code": "000000" })).await.code() == "INVALID_SECOND_FACTOR");
        }
        if n == 2 {
            app.clock.advance(Duration::seconds(90));
            assert_eq!(thief.show(&token, json!({ "code": authenticator.code(&app) })).await.code(), "INVALID_SECOND_FACTOR", "even the right one");
        }
    }
    assert_eq!(wrong, 6);
}

#[actix_web::test]
async fn wrong_codes_count_with_wrong_passwords_until_an_unknown_device_needs_a_link() {
    let app = TestApp::with(&[("PORTCULLIS_LOGIN_FAILURES", "6"), ("PORTCULLIS_SECOND_FACTOR_QUOTA", "1000")]).await;
    app.member(ADA).await.add_totp().await;
    for _ in 0..2 {
        let token = app.visitor().half_sign_in(ADA, PASSWORD).await;
        for _ in 0..3 {
            assert_eq!(app.visitor().show(&token, json!({ "code": "000000" })).await.code(), "INVALID_SECOND_FACTOR");
        }
    }
    let refused = app.visitor().post("/v1/auth/login", json!({ "email": ADA, "password": PASSWORD })).await;
    assert_eq!(refused.code(), "INVALID_CREDENTIALS");
    app.letter_about(ADA, "/go/trust").await;
}
