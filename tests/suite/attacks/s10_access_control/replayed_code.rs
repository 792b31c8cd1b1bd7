//! Somebody who saw a code over the owner's shoulder, or has an old one, uses it: again, in parallel, too late, too early.

use crate::support::app::{PASSWORD, TestApp};
use futures_util::future::join_all;
use serde_json::json;
use time::Duration;

const ADA: &str = "ada@example.org";

#[actix_web::test]
async fn a_code_counts_once_and_ends_every_earlier_one() {
    let app = TestApp::start().await;
    let (authenticator, _) = app.member(ADA).await.add_totp().await;
    let shown = async |code: String| {
        let mut visitor = app.visitor();
        let token = visitor.half_sign_in(ADA, PASSWORD).await;
        visitor.show(&token, json!({ "code": code })).await
    };
    assert_eq!(shown(authenticator.code(&app)).await.code(), "INVALID_SECOND_FACTOR", "it has confirmed the app");

    app.clock.advance(Duration::seconds(90));
    let (earlier, code) = (authenticator.code_in(&app, -1), authenticator.code(&app));
    assert_eq!(shown(code.clone()).await.status, 200);
    assert_eq!(shown(code.clone()).await.code(), "INVALID_SECOND_FACTOR");
    assert_eq!(shown(earlier).await.code(), "INVALID_SECOND_FACTOR");
    let ada = app.visitor();
    let token = ada.half_sign_in(ADA, PASSWORD).await;
    assert_eq!(ada.post("/v1/auth/step-up", json!({ "code": code })).await.status, 401, "nobody is signed in by half");
    assert_eq!(ada.clone().show(&token, json!({ "code": authenticator.code_in(&app, 1) })).await.status, 200, "the next one is good");
}

#[actix_web::test]
async fn a_code_is_good_for_one_step_around_the_services_clock() {
    let app = TestApp::start().await;
    let (authenticator, _) = app.member(ADA).await.add_totp().await;
    app.clock.advance(Duration::hours(1));
    for (steps, is_good) in [(-3, false), (-2, false), (2, false), (3, false), (-1, true), (1, true)] {
        let mut visitor = app.visitor();
        let token = visitor.half_sign_in(ADA, PASSWORD).await;
        let shown = visitor.show(&token, json!({ "code": authenticator.code_in(&app, steps) })).await;
        assert_eq!(shown.status == 200, is_good, "{steps}: {}", shown.text);
    }
}

#[actix_web::test]
async fn of_a_hundred_uses_of_one_code_at_once_one_gets_in() {
    for kind in ["code", "recovery_code"] {
        let app = TestApp::with(&[("PORTCULLIS_SECOND_FACTOR_QUOTA", "1000"), ("PORTCULLIS_HASH_QUEUE", "200")]).await;
        let (authenticator, recovery_codes) = app.member(ADA).await.add_totp().await;
        app.clock.advance(Duration::seconds(90));
        let code = if kind == "code" { authenticator.code(&app) } else { recovery_codes[0].clone() };
        let shown = json!({ kind: code });
        let begun = join_all((0..100).map(|_| async { app.visitor().half_sign_in(ADA, PASSWORD).await })).await;
        let answers = join_all(begun.iter().map(|token| {
            let (app, shown) = (&app, shown.clone());
            async move { app.visitor().show(token, shown).await }
        }))
        .await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{:?}", answers[7].text);
        assert_eq!(answers.iter().filter(|answer| answer.code() == "INVALID_SECOND_FACTOR").count(), 99, "{:?}", answers[7].text);
    }
}

#[actix_web::test]
async fn of_a_hundred_answers_to_one_sign_in_at_once_one_gets_in() {
    let app = TestApp::with(&[("PORTCULLIS_SECOND_FACTOR_QUOTA", "1000")]).await;
    let (_, recovery_codes) = app.member(ADA).await.add_totp().await;
    let token = app.visitor().half_sign_in(ADA, PASSWORD).await;
    let answers = join_all((0..100).map(|n| {
        let (app, token, code) = (&app, &token, recovery_codes[n % 10].clone());
        async move { app.visitor().show(token, json!({ "recovery_code": code })).await }
    }))
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{:?}", answers[7].text);
    assert!(answers.iter().all(|answer| [200, 400, 403].contains(&answer.status.as_u16())));
    let left = app.count("SELECT count(*) FROM recovery_codes WHERE used_at IS NULL").await;
    assert_eq!(left, 9, "what did not get in has spent nothing");
}

#[actix_web::test]
async fn a_recovery_code_counts_once_and_a_new_set_ends_the_old_one() {
    let app = TestApp::start().await;
    let mut ada = app.member(ADA).await;
    let (authenticator, codes) = ada.add_totp().await;
    let shown = async |code: &str| {
        let mut visitor = app.visitor();
        let token = visitor.half_sign_in(ADA, PASSWORD).await;
        visitor.show(&token, json!({ "recovery_code": code })).await
    };
    assert_eq!(shown(&codes[0].to_uppercase().replace('-', " ")).await.status, 200, "as people write it");
    assert_eq!(shown(&codes[0]).await.code(), "INVALID_SECOND_FACTOR");
    assert!(app.letter_about(ADA, "9 left").await.text.contains("recovery code"));

    app.clock.advance(Duration::seconds(90));
    assert_eq!(ada.step_up(json!({ "code": authenticator.code(&app) })).await.status, 200);
    let renewed = ada.post("/v1/me/mfa/recovery-codes", json!({})).await;
    let new = renewed.json()["recovery_codes"].as_array().unwrap().clone();
    assert_eq!((renewed.status.as_u16(), new.len()), (201, 10));
    assert_eq!(shown(&codes[1]).await.code(), "INVALID_SECOND_FACTOR");
    assert_eq!(shown(new[0].as_str().unwrap()).await.status, 200);
}

#[actix_web::test]
async fn somebody_elses_code_is_worth_nothing() {
    let app = TestApp::start().await;
    let (theirs, codes) = app.member("mallory@example.org").await.add_totp().await;
    app.member(ADA).await.add_totp().await;
    app.clock.advance(Duration::seconds(90));
    for shown in [json!({ "code": theirs.code(&app) }), json!({ "recovery_code": codes[0] })] {
        let mut visitor = app.visitor();
        let token = visitor.half_sign_in(ADA, PASSWORD).await;
        assert_eq!(visitor.show(&token, shown).await.code(), "INVALID_SECOND_FACTOR");
    }
}
