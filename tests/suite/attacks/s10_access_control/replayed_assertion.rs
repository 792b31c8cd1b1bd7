//! An answer of a passkey that was overheard is sent once more, in time or late, at once a hundred times, with another token or from
//! another session. Controls: `src/credentials/challenge/mod.rs`, `src/api/passkeys/`.

use crate::support::{
    app::{PASSWORD, PUBLIC_URL, TestApp},
    device::Device,
};
use futures_util::future::join_all;
use serde_json::json;
use time::Duration;

const ADA: &str = "ada@example.org";

#[actix_web::test]
async fn an_answer_counts_once() {
    let app = TestApp::start().await;
    // one that does not count: the challenge alone has to hold
    let mut device = Device { step: 0, ..Device::at(PUBLIC_URL) };
    app.member(ADA).await.add_passkey(&mut device, "Laptop").await;
    let visitor = app.visitor();
    let begun = visitor.passkey_options().await;
    let credential = device.get(&begun["options"]);
    let answers = join_all((0..100).map(|_| visitor.show_passkey(&begun, credential.clone()))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert!(answers.iter().all(|answer| answer.status == 200 || answer.code() == "INVALID_CHALLENGE"), "{answers:?}");
    assert_eq!(visitor.show_passkey(&begun, credential.clone()).await.code(), "INVALID_CHALLENGE");

    let other = visitor.passkey_options().await;
    assert_eq!(visitor.show_passkey(&other, credential).await.code(), "INVALID_CREDENTIALS", "the answer to another question");
    let late = visitor.passkey_options().await;
    app.clock.advance(app.state.settings.terms.challenge);
    assert_eq!(visitor.show_passkey(&late, device.get(&late["options"])).await.code(), "INVALID_CHALLENGE", "too late");
}

#[actix_web::test]
async fn a_question_takes_five_wrong_answers() {
    let app = TestApp::start().await;
    let mut device = Device::at(PUBLIC_URL);
    app.member(ADA).await.add_passkey(&mut device, "Laptop").await;
    let (visitor, liar) = (app.visitor(), Device { origin: "https://evil.example".into(), ..device.clone() });
    let begun = visitor.passkey_options().await;
    for _ in 0..5 {
        assert_eq!(visitor.show_passkey(&begun, liar.clone().get(&begun["options"])).await.code(), "INVALID_CREDENTIALS");
    }
    assert_eq!(visitor.show_passkey(&begun, device.get(&begun["options"])).await.code(), "INVALID_CHALLENGE");
}

#[actix_web::test]
async fn a_new_passkey_counts_once_and_for_who_began_it() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.member(ADA).await, app.member("bob@example.org").await);
    let ada_elsewhere = app.sign_in(ADA).await;
    let mut device = Device::at(PUBLIC_URL);
    ada.agree_by_mail().await;
    let begun = ada.post("/v1/me/passkeys/options", json!({})).await.json();
    let body = json!({ "token": begun["token"], "name": "Laptop", "credential": device.create(&begun["options"]) });
    for (who, actor) in [("another person", &bob), ("another session", &ada_elsewhere)] {
        assert_eq!(actor.post("/v1/me/passkeys", body.clone()).await.code(), "INVALID_CHALLENGE", "{who}");
    }
    let sign_in = app.visitor().passkey_options().await;
    let wrong = json!({ "token": sign_in["token"], "name": "Laptop", "credential": body["credential"] });
    assert_eq!(ada.post("/v1/me/passkeys", wrong).await.code(), "INVALID_CHALLENGE", "a token for something else");
    let answers = join_all((0..100).map(|_| ada.post("/v1/me/passkeys", body.clone()))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1, "{answers:?}");
    assert_eq!(app.count("SELECT count(*) FROM passkeys").await, 1);
}

#[actix_web::test]
async fn what_is_shown_beside_a_password_or_in_a_session_counts_there_and_once() {
    let app = TestApp::start().await;
    let mut device = Device { step: 0, ..Device::at(PUBLIC_URL) };
    let mut ada = app.member(ADA).await;
    ada.add_passkey(&mut device, "Laptop").await;
    let visitor = app.visitor();
    let mut awaited = Vec::new();
    for _ in 0..2 {
        let token = visitor.post("/v1/auth/login", json!({ "email": ADA, "password": PASSWORD })).await.json()["mfa_token"].clone();
        let options = visitor.post("/v1/auth/mfa/options", json!({ "mfa_token": token })).await.json()["options"].clone();
        awaited.push((token, options));
    }
    let (token, options) = &awaited[0];
    let passkey = device.get(options);
    let other = json!({ "mfa_token": awaited[1].0, "passkey": passkey });
    assert_eq!(visitor.post("/v1/auth/mfa/verify", other).await.code(), "INVALID_SECOND_FACTOR", "the answer for another sign-in");
    let body = json!({ "mfa_token": token, "passkey": passkey });
    let answers = join_all((0..100).map(|_| visitor.post("/v1/auth/mfa/verify", body.clone()))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");

    let mut elsewhere = app.visitor();
    assert_eq!(elsewhere.passkey_sign_in(&mut device).await.status, 200);
    let asked = ada.post("/v1/auth/step-up/options", json!({})).await.json();
    let body = json!({ "passkey_token": asked["token"], "passkey": device.get(&asked["options"]) });
    assert_eq!(elsewhere.post("/v1/auth/step-up", body.clone()).await.code(), "INVALID_CHALLENGE", "in another session");
    app.clock.advance(Duration::minutes(1));
    let answers = join_all((0..100).map(|_| ada.post("/v1/auth/step-up", body.clone()))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
}
