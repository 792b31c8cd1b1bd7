//! Passkeys: made, used to sign in and as the second factor, renamed, removed.

use crate::support::{
    app::{PASSWORD, PUBLIC_URL, TestApp},
    device::{BACKED_UP, BACKUP_ELIGIBLE, Device, USER_PRESENT, USER_VERIFIED},
};
use futures_util::future::join_all;
use serde_json::json;
use time::Duration;

const ADA: &str = "ada@example.org";

#[actix_web::test]
async fn several_are_made_named_and_removed_and_the_owner_is_told() {
    let app = TestApp::start().await;
    let mut ada = app.member(ADA).await;
    let elsewhere = app.sign_in(ADA).await;
    let mut laptop = Device::at(PUBLIC_URL);
    let first = ada.add_passkey(&mut laptop, "Laptop").await;
    assert_eq!((first.status.as_u16(), first.json()["recovery_codes"].as_array().map(Vec::len)), (201, Some(10)), "{}", first.text);
    app.letter_about(ADA, "passkey").await;
    assert_eq!(elsewhere.get("/v1/me").await.status, 401, "it began without a second factor");
    assert_eq!(ada.get("/v1/me").await.status, 200);

    let begun = ada.post("/v1/me/passkeys/options", json!({})).await.json();
    assert_eq!(begun["options"]["excludeCredentials"].as_array().unwrap().len(), 1, "a device makes no second one");
    assert_eq!(begun["options"]["authenticatorSelection"]["residentKey"], "required");
    let mut phone = Device { flags: USER_PRESENT | USER_VERIFIED | BACKUP_ELIGIBLE, step: 0, ..Device::at(PUBLIC_URL) };
    let second = ada.add_passkey(&mut phone, "Phone").await;
    assert_eq!((second.status.as_u16(), &second.json()["recovery_codes"]), (201, &json!([])), "{}", second.text);
    let (laptop_id, phone_id) = (first.json()["passkey"]["id"].clone(), second.json()["passkey"]["id"].clone());

    phone.flags |= BACKED_UP;
    let mut there = app.visitor();
    assert_eq!(there.passkey_sign_in(&mut phone).await.status, 200);
    let listed = ada.get("/v1/me/passkeys").await.json();
    let shown: Vec<_> =
        listed["items"].as_array().unwrap().iter().map(|one| (&one["name"], &one["is_backed_up"], one["last_used_at"].is_string())).collect();
    assert_eq!(shown, [(&json!("Laptop"), &json!(false), false), (&json!("Phone"), &json!(true), true)]);
    let renamed = ada.patch(&format!("/v1/me/passkeys/{}", phone_id.as_str().unwrap()), json!({ "name": "Old phone" })).await;
    assert_eq!((renamed.status.as_u16(), &renamed.json()["name"]), (200, &json!("Old phone")));

    app.clock.advance(Duration::minutes(11));
    let path = format!("/v1/me/passkeys/{}", laptop_id.as_str().unwrap());
    assert_eq!(ada.delete(&path).await.code(), "STEP_UP_REQUIRED");
    assert_eq!(ada.passkey_step_up(&mut phone).await.status, 200);
    assert_eq!(ada.delete(&path).await.code(), "MAILBOX_PROOF_REQUIRED");
    ada.agree_by_mail().await;
    assert_eq!(ada.delete(&path).await.status, 200);
    assert_eq!(app.visitor().passkey_sign_in(&mut laptop).await.code(), "INVALID_CREDENTIALS", "it is gone");
    assert_eq!(app.visitor().passkey_sign_in(&mut phone).await.status, 200, "the other is not");
}

#[actix_web::test]
async fn one_signs_in_without_a_password_and_counts_for_both_factors() {
    let app = TestApp::start().await;
    let mut device = Device::at(PUBLIC_URL);
    app.member(ADA).await.add_passkey(&mut device, "Laptop").await;
    let mut visitor = app.visitor();
    let begun = visitor.passkey_options().await;
    assert_eq!(begun["options"]["allowCredentials"], json!([]), "nobody is named");
    assert_eq!(visitor.passkey_sign_in(&mut device).await.status, 200);
    assert_eq!(visitor.get("/v1/me").await.json()["email"], ADA);
    assert_eq!(visitor.post("/v1/me/mfa/recovery-codes", json!({})).await.status, 201, "what asks for a second factor is let through");

    let begun = app.visitor().passkey_options().await;
    let body = json!({ "token": begun["token"], "credential": device.get(&begun["options"]), "transport": "token", "refresh_in": "body" });
    let tokens = app.visitor().post("/v1/auth/passkeys/login", body).await;
    assert_eq!(tokens.status, 200, "{}", tokens.text);
    let mut bearer = app.visitor();
    bearer.bearer = tokens.json()["access_token"].as_str().map(str::to_owned);
    assert_eq!(bearer.get("/v1/auth/verify").await.header("x-auth-assurance"), "2");
}

#[actix_web::test]
async fn beside_a_password_one_is_the_second_factor() {
    let app = TestApp::start().await;
    let mut device = Device::at(PUBLIC_URL);
    app.member(ADA).await.add_passkey(&mut device, "Laptop").await;
    let visitor = app.visitor();
    let first = visitor.post("/v1/auth/login", json!({ "email": ADA, "password": PASSWORD })).await;
    assert_eq!((first.status.as_u16(), &first.json()["methods"]), (202, &json!(["passkey", "recovery_code"])), "{}", first.text);
    let token = first.json()["mfa_token"].clone();
    let asked = visitor.post("/v1/auth/mfa/options", json!({ "mfa_token": token })).await.json();
    assert_eq!(asked["options"]["allowCredentials"].as_array().unwrap().len(), 1);
    // asked again, as by a page that was loaded anew
    let asked_again = visitor.post("/v1/auth/mfa/options", json!({ "mfa_token": token })).await.json();
    let stale = device.get(&asked["options"]);
    assert_eq!(visitor.post("/v1/auth/mfa/verify", json!({ "mfa_token": token, "passkey": stale })).await.code(), "INVALID_SECOND_FACTOR");
    let passkey = device.get(&asked_again["options"]);
    let done = visitor.post("/v1/auth/mfa/verify", json!({ "mfa_token": token, "passkey": passkey })).await;
    assert_eq!(done.status, 200, "{}", done.text);
}

#[actix_web::test]
async fn an_export_tells_of_them_and_an_erasure_takes_them() {
    let app = TestApp::start().await;
    let mut ada = app.member(ADA).await;
    ada.add_passkey(&mut Device::at(PUBLIC_URL), "Laptop").await;
    assert_eq!(ada.post("/v1/me/export", json!({})).await.status, 202);
    app.letter_about(ADA, "Your data is ready").await;
    let url = ada.get("/v1/me/export").await.json()["url"].as_str().unwrap().to_owned();
    let export = ada.get(url.strip_prefix(PUBLIC_URL).unwrap()).await.json();
    assert_eq!((export["passkeys"].as_array().map(Vec::len), &export["passkeys"][0]["name"]), (Some(1), &json!("Laptop")));
    sqlx::query("DELETE FROM users").execute(&app.database.pool).await.unwrap();
    assert_eq!(app.count("SELECT count(*) FROM passkeys").await, 0);
}

#[actix_web::test]
async fn there_are_twenty_at_most() {
    let app = TestApp::with(&[("PORTCULLIS_FACTOR_CHANGE_QUOTA", "100")]).await;
    let mut ada = app.member(ADA).await;
    let mut device = Device::at(PUBLIC_URL);
    for number in 1..=19 {
        assert_eq!(ada.add_passkey(&mut device, &format!("Number {number}")).await.status, 201);
    }
    let mut bodies = Vec::new();
    for name in ["The last", "One more"] {
        let begun = ada.post("/v1/me/passkeys/options", json!({})).await.json();
        bodies.push(json!({ "token": begun["token"], "name": name, "credential": device.create(&begun["options"]) }));
    }
    let answers = join_all(bodies.into_iter().map(|body| ada.post("/v1/me/passkeys", body))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "{answers:?}");
    let made = answers.iter().find(|answer| answer.status == 201).unwrap();
    ada.renew(made, &made.json()["session"]);
    assert_eq!(ada.post("/v1/me/passkeys/options", json!({})).await.code(), "TOO_MANY", "no device makes one in vain");
    assert_eq!(app.count("SELECT count(*) FROM passkeys").await, 20);
}
