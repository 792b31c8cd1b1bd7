//! A thief was in the account for a moment and made a key, to come back when the owner has put everybody out.

use crate::support::{
    app::{Actor, PASSWORD, TestApp},
    machines::Machine,
};
use serde_json::json;

const ROUTE: &str = "/v1/users";
const EMAIL: &str = "ada@example.org";

async fn is_over(app: &TestApp, machine: &Machine<'_>, what: &str) {
    assert_eq!(machine.actor.get(ROUTE).await.code(), "INVALID_TOKEN", "{what}");
    let events = app.count("SELECT count(*) FROM audit_events WHERE event = 'api_key.revoked' AND detail ? 'keys'").await;
    app.runs("UPDATE users SET devices_known_since = '-infinity'").await.unwrap();
    assert!(events > 0, "{what} is told");
}

async fn planted<'a>(thief: &Actor<'a>) -> Machine<'a> {
    let machine = thief.api_key(&["users:read"]).await;
    assert_eq!(machine.actor.get(ROUTE).await.status, 200);
    machine
}

#[actix_web::test]
async fn whatever_puts_a_thief_out_ends_the_keys_that_the_thief_made() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let mut ada = app.member_with(EMAIL, "auditor").await;
    let id = app.id_of(EMAIL).await;

    let key = planted(&ada).await;
    app.letter_about(EMAIL, "has a new API key").await;
    let changed = ada.post("/v1/me/password", json!({ "current_password": PASSWORD, "password": "fresh gravel over a tin sun" })).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    is_over(&app, &key, "a changed password").await;

    let mut ada = {
        ada.cookie = changed.cookie();
        ada.csrf = changed.json()["csrf_token"].as_str().map(str::to_owned);
        ada
    };
    let key = planted(&ada).await;
    assert_eq!(root.delete(&format!("/v1/users/{id}/sessions")).await.status, 204);
    is_over(&app, &key, "an administrator who signs somebody out").await;

    ada.sign_in(EMAIL, "fresh gravel over a tin sun").await;
    let key = planted(&ada).await;
    let path = format!("/v1/users/{id}/disabled");
    assert_eq!(root.put(&path, json!({ "disabled": true })).await.status, 200);
    assert_eq!(root.put(&path, json!({ "disabled": false })).await.status, 200);
    is_over(&app, &key, "an account that was disabled and is enabled again").await;

    ada.sign_in(EMAIL, "fresh gravel over a tin sun").await;
    let key = planted(&ada).await;
    app.visitor().post("/v1/auth/password/forgot", json!({ "email": EMAIL })).await;
    let letter = app.letter_about(EMAIL, "/go/reset").await;
    let body = json!({ "token": letter.token, "password": "another gravel under one moon" });
    assert_eq!(app.visitor().post("/v1/auth/password/reset", body).await.status, 204);
    is_over(&app, &key, "a password set by letter").await;

    app.all_letters_sent().await;
    let mut stranger = app.visitor();
    assert_eq!(stranger.sign_in(EMAIL, "another gravel under one moon").await.status, 200);
    let key = planted(&stranger).await;
    let letter = app.letter_about(EMAIL, "/go/disown").await;
    let answer = app.visitor().follow("/v1/auth/sessions/disown", &letter).await;
    assert_eq!(answer.status, 204, "{}", answer.text);
    is_over(&app, &key, "\"this was not me\"").await;
}

#[actix_web::test]
async fn a_closed_account_has_no_keys_and_a_kept_one_none_of_before() {
    let app = TestApp::start().await;
    app.administrator().await;
    let ada = app.member_with(EMAIL, "auditor").await;
    let key = planted(&ada).await;
    assert_eq!(ada.post("/v1/me/close", json!({ "email": EMAIL })).await.status, 200);
    assert_eq!(key.actor.get(ROUTE).await.code(), "INVALID_TOKEN", "closed");
    let letter = app.letter_about(EMAIL, "/go/keep").await;
    assert_eq!(app.visitor().follow("/v1/auth/account/keep", &letter).await.status, 204);
    is_over(&app, &key, "a kept account").await;
}
