//! Somebody with an account and a passkey of their own goes for another person's: names it, removes it, registers its id, shows theirs in its
//! place. Controls: `src/credentials/passkey/`, `src/api/passkeys/`.

use crate::support::{
    app::{PASSWORD, PUBLIC_URL, TestApp},
    device::Device,
};
use serde_json::json;

const ADA: &str = "ada@example.org";

#[actix_web::test]
async fn one_persons_passkey_is_out_of_anothers_reach() {
    let app = TestApp::start().await;
    let (mut ada, mut bob) = (app.member(ADA).await, app.member("bob@example.org").await);
    let (mut adas, mut bobs) = (Device::at(PUBLIC_URL), Device::at(PUBLIC_URL));
    let id = ada.add_passkey(&mut adas, "Laptop").await.json()["passkey"]["id"].as_str().unwrap().to_owned();
    assert_eq!(bob.add_passkey(&mut bobs, "Laptop").await.status, 201);

    let path = format!("/v1/me/passkeys/{id}");
    assert_eq!(bob.patch(&path, json!({ "name": "Mine" })).await.code(), "NOT_FOUND");
    assert_eq!(bob.delete(&path).await.code(), "NOT_FOUND");

    // the id is no secret: it is in every answer
    let begun = bob.post("/v1/me/passkeys/options", json!({})).await.json();
    let claimed = bobs.attest(&begun["options"], &adas.keys[0].id, &bobs.keys[0].point());
    let refused = bob.post("/v1/me/passkeys", json!({ "token": begun["token"], "name": "x", "credential": claimed })).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (422, "INVALID"), "{}", refused.text);
    assert_eq!(app.visitor().passkey_sign_in(&mut adas).await.status, 200, "Ada's is still hers");

    let mut pretender = bobs.clone();
    pretender.keys[0].user_handle = adas.keys[0].user_handle.clone();
    assert_eq!(app.visitor().passkey_sign_in(&mut pretender).await.code(), "INVALID_CREDENTIALS", "the key is Bob's, the name Ada's");
    let mut thief = bobs.clone();
    thief.keys[0].id = adas.keys[0].id.clone();
    assert_eq!(app.visitor().passkey_sign_in(&mut thief).await.code(), "INVALID_CREDENTIALS", "the id is Ada's, the key Bob's");
    let mut silent = Device { is_silent: true, ..bobs.clone() };
    assert_eq!(app.visitor().passkey_sign_in(&mut silent).await.code(), "INVALID_CREDENTIALS", "nobody says whose it is");
}

#[actix_web::test]
async fn anothers_passkey_is_no_second_factor() {
    let app = TestApp::start().await;
    let (mut ada, mut bob) = (app.member(ADA).await, app.member("bob@example.org").await);
    let (mut adas, mut bobs) = (Device::at(PUBLIC_URL), Device::at(PUBLIC_URL));
    ada.add_passkey(&mut adas, "Laptop").await;
    bob.add_passkey(&mut bobs, "Laptop").await;
    // Bob knows Ada's password
    let token = bob.app.visitor().post("/v1/auth/login", json!({ "email": ADA, "password": PASSWORD })).await.json()["mfa_token"].clone();
    let unasked = json!({ "mfa_token": token, "passkey": bobs.show(&app.visitor().passkey_options().await["options"], &bobs.keys[0]) });
    assert_eq!(app.visitor().post("/v1/auth/mfa/verify", unasked).await.code(), "INVALID_SECOND_FACTOR", "nothing was asked");
    let asked = app.visitor().post("/v1/auth/mfa/options", json!({ "mfa_token": token })).await.json();
    bobs.keys[0].counter += 1;
    for handle in [bobs.keys[0].user_handle.clone(), adas.keys[0].user_handle.clone()] {
        bobs.keys[0].user_handle = handle;
        let passkey = bobs.show(&asked["options"], &bobs.keys[0]);
        let refused = app.visitor().post("/v1/auth/mfa/verify", json!({ "mfa_token": token, "passkey": passkey })).await;
        assert_eq!(refused.code(), "INVALID_SECOND_FACTOR", "{}", refused.text);
    }
    let asked = ada.post("/v1/auth/step-up/options", json!({})).await.json();
    let passkey = bobs.show(&asked["options"], &bobs.keys[0]);
    let refused = ada.post("/v1/auth/step-up", json!({ "passkey_token": asked["token"], "passkey": passkey })).await;
    assert_eq!(refused.code(), "INVALID_SECOND_FACTOR", "{}", refused.text);
}

#[actix_web::test]
async fn a_disabled_account_looks_like_an_unknown_passkey() {
    let app = TestApp::start().await;
    let mut device = Device::at(PUBLIC_URL);
    app.member(ADA).await.add_passkey(&mut device, "Laptop").await;
    sqlx::query("UPDATE users SET status = 'disabled' WHERE email = $1").bind(ADA).execute(&app.database.pool).await.unwrap();
    let disabled = app.visitor().passkey_sign_in(&mut device).await;
    sqlx::query("DELETE FROM users WHERE email = $1").bind(ADA).execute(&app.database.pool).await.unwrap();
    let unknown = app.visitor().passkey_sign_in(&mut device).await;
    assert_eq!(disabled.status, 401);
    assert_eq!((disabled.status, disabled.told()), (unknown.status, unknown.told()));
}
