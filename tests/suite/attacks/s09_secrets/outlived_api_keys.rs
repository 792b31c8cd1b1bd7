//! A thief was in the account for a moment and made a key, to come back when the owner has put everybody out.

use crate::support::{
    app::{Actor, PASSWORD, TestApp},
    machines::Machine,
};
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};

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

/// The thief makes a key in the moment in which an administrator signs the account out.
#[actix_web::test]
async fn a_key_that_is_being_made_ends_too() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let ada = app.member_with(EMAIL, "auditor").await;
    let sessions = format!("/v1/users/{}/sessions", app.id_of(EMAIL).await);
    app.all_letters_sent().await;
    // the key waits for its letter
    let mut holder = app.database.pool.begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(1)").execute(&mut *holder).await.unwrap();
    let mut owner = PgConnection::connect_with(&app.database.owner).await.unwrap();
    owner.execute("CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END $$; CREATE TRIGGER wait BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION wait()").await.unwrap();
    let waits = async |n: i64| {
        let query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        app.wait_for("calls to wait", async || (app.count(query).await == n).then_some(())).await;
    };
    let making = ada.post("/v1/me/api-keys", json!({ "name": "back door", "scopes": ["users:read"] }));
    let meanwhile = async {
        waits(1).await;
        let put_out = root.delete(&sessions);
        let release = async {
            waits(2).await;
            holder.commit().await.unwrap();
        };
        futures_util::join!(put_out, release).0
    };
    let (made, put_out) = futures_util::join!(making, meanwhile);
    assert_eq!((made.status.as_u16(), put_out.status.as_u16()), (201, 204), "{} {}", made.text, put_out.text);
    assert_eq!(app.holder(made.json()["key"].as_str().unwrap()).get(ROUTE).await.code(), "INVALID_TOKEN");
}
