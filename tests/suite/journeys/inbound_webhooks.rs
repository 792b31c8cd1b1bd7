//! Other services tell something: it is taken in, done once, and can be looked at.

use crate::support::{
    app::TestApp,
    webhooks::{HR, KEYED, by_github, by_stripe, event, signed},
};
use portcullis::platform::keyring::{Purpose, rows, signing::Algorithm, store as keys};
use serde_json::json;
use time::Duration;

#[actix_web::test]
async fn each_scheme_is_taken_in_and_can_be_read() {
    let app = TestApp::with_sources(&[]).await;
    let root = app.administrator().await;
    let now = app.clock.now().unix_timestamp();
    let body = event("room.booked", &json!({ "room": "Ωmega 7" }));
    let (push, paid) = (json!({ "action": "opened" }).to_string(), json!({ "id": "evt_1", "type": "invoice.paid" }).to_string());
    let mut ids = Vec::new();
    for (source, headers, body) in [
        ("hr", signed(&app, HR, "msg_1", &body), &body),
        ("keyed", signed(&app, KEYED, "msg_1", &body), &body),
        ("code", by_github("72d3162e-cc78-11e3-81ab-4c9367dc0958", &push), &push),
        ("billing", by_stripe(now, &paid), &paid),
    ] {
        let answer = app.deliver(source, &headers, body).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (202, &json!("accepted")), "{source}: {}", answer.text);
        ids.push(answer.json()["id"].as_str().unwrap().to_owned());
        app.inbox_is(ids.last().unwrap(), "processed").await;
    }
    let page = root.get("/v1/webhooks/inbound?limit=3").await.json();
    let shown: Vec<_> =
        page["items"].as_array().unwrap().iter().map(|item| (item["source"].as_str().unwrap(), item["type"].as_str().unwrap())).collect();
    assert_eq!(shown, [("billing", "invoice.paid"), ("code", "opened"), ("keyed", "room.booked")]);
    let rest = root.get(&format!("/v1/webhooks/inbound?cursor={}", page["next_cursor"].as_str().unwrap())).await.json();
    assert_eq!((rest["items"][0]["message_id"].as_str(), rest["items"][0]["state"].as_str()), (Some("msg_1"), Some("processed")));
    let read = root.get(&format!("/v1/webhooks/inbound/events/{}", ids[0])).await.json();
    assert_eq!((read["body"].as_str(), &read["webhook"]["id"]), (Some(body.as_str()), &json!(ids[0])));
    assert_eq!(app.count("SELECT count(*) FROM audit_events WHERE event = 'webhook.opened' AND actor IS NOT NULL").await, 1);
    // at rest it is sealed, and forgotten when its time has come
    let plain = "SELECT count(*) FROM webhook_inbox WHERE position('Ωmega'::bytea in sealed) > 0";
    assert_eq!(app.count(plain).await, 0);
    app.clock.advance(Duration::days(31));
    app.run_jobs().await;
    assert_eq!(app.count("SELECT count(*) FROM webhook_inbox").await, 1, "GitHub's digest alone");
}

#[actix_web::test]
async fn who_leaves_is_disabled_as_an_administrator_would() {
    let app = TestApp::with_sources(&[]).await;
    let (root, ada) = (app.administrator().await, app.member("ada@example.org").await);
    let (bob, _) = app.token_member("bob@example.org").await;
    let key = ada.api_key(&["documents:read"]).await.actor;
    let gone = app.told(HR, "msg_1", &event("user.deactivated", &json!({ "email": "Ada@example.org", "id": 4711 }))).await;
    let bobs = app.id_of("bob@example.org").await;
    let gone_too = app.told(HR, "msg_2", &event("user.deactivated", &json!({ "id": bobs }))).await;
    for id in [&gone, &gone_too] {
        app.inbox_is(id, "processed").await;
    }
    assert_eq!((ada.get("/v1/me").await.status.as_u16(), bob.get("/v1/me").await.status.as_u16()), (401, 401));
    assert_eq!(key.get("/v1/documents").await.status, 401, "keys end, too");
    let events = root.get("/v1/audit/events?event=account.disabled").await.json();
    let told: Vec<_> =
        events["items"].as_array().unwrap().iter().map(|event| (event["detail"]["webhook"].clone(), event["detail"]["sessions"].clone())).collect();
    assert_eq!(told, [(json!(gone_too), json!(1)), (json!(gone), json!(1))]);
    assert_eq!(root.get(&format!("/v1/users/{bobs}")).await.json()["status"], "disabled");
    // told again, by another message: nothing is left to do
    let again = app.told(HR, "msg_3", &event("user.deactivated", &json!({ "email": "ada@example.org" }))).await;
    app.inbox_is(&again, "processed").await;
    assert_eq!(root.get("/v1/audit/events?event=account.disabled").await.json()["items"].as_array().unwrap().len(), 2);
}

/// What cannot be done now is done when it can.
#[actix_web::test]
async fn an_effect_that_fails_is_tried_again() {
    let app = TestApp::with_sources(&[]).await;
    let root = app.administrator().await;
    let id = app.told(HR, "msg_1", &event("user.deactivated", &json!({ "email": "root@example.org" }))).await;
    app.wait_for("the first try", async || (app.count("SELECT sum(attempts) FROM webhook_inbox").await == 1).then_some(())).await;
    assert_eq!((app.inbox_state(&id).await.as_str(), root.get("/v1/me").await.status.as_u16()), ("waiting", 200), "there is no other administrator");
    let successor = app.member_with("ada@example.org", "administrator").await;
    app.clock.advance(Duration::seconds(11));
    app.inbox_is(&id, "processed").await;
    assert_eq!((root.get("/v1/me").await.status.as_u16(), successor.get("/v1/me").await.status.as_u16()), (401, 200));
}

/// Its source sends a message again that was given up: it is dealt with from the start.
#[actix_web::test]
async fn what_was_given_up_is_dealt_with_when_it_is_sent_again() {
    let app = TestApp::with_sources(&[("PORTCULLIS_WEBHOOK_INBOX_ATTEMPTS", "1")]).await;
    let root = app.administrator().await;
    let body = event("user.deactivated", &json!({ "email": "root@example.org" }));
    let id = app.told(HR, "msg_1", &body).await;
    app.inbox_is(&id, "dead").await;
    let _successor = app.member_with("ada@example.org", "administrator").await;
    // nor could what was kept be read any more
    sqlx::query("UPDATE webhook_inbox SET sealed = NULL, key_version = NULL").execute(&app.database.pool).await.unwrap();
    let again = app.deliver("hr", &signed(&app, HR, "msg_1", &body), &body).await;
    assert_eq!((again.status.as_u16(), again.json()), (202, json!({ "id": id, "status": "resumed" })));
    app.inbox_is(&id, "processed").await;
    assert_eq!(root.get("/v1/me").await.status, 401);
    assert_eq!(app.count("SELECT sum(attempts) FROM webhook_inbox").await, 1);
    assert_eq!(app.deliver("hr", &signed(&app, HR, "msg_1", &body), &body).await.status, 200, "once");
}

/// What webhooks said hangs on a key like everything that is sealed: it moves to the next one, and goes with a revoked one. What was spent stays
/// spent.
#[actix_web::test]
async fn what_was_said_moves_to_the_next_key_and_goes_with_a_revoked_one() {
    let app = TestApp::with_sources(&[]).await;
    let (root, state) = (app.administrator().await, &app.state);
    let body = event("room.booked", &json!({}));
    let id = app.told(HR, "msg_1", &body).await;
    app.inbox_is(&id, "processed").await;
    let (purpose, path) = (Purpose::WebhookInbox, format!("/v1/webhooks/inbound/events/{id}"));
    let mut transaction = state.pool.begin().await.unwrap();
    keys::rotate(&mut transaction, &state.keyring, purpose, Algorithm::EdDsa, true, app.clock.now()).await.unwrap();
    transaction.commit().await.unwrap();
    state.keyring.reload(&state.pool).await.unwrap();
    assert_eq!(root.get(&path).await.json()["body"], json!(body));
    let walk = rows::reseal(&state.pool, &state.keyring, purpose, (10, rows::BATCH), |_| {}).await.unwrap();
    assert!(walk.is_through && walk.unreadable == 0, "{walk:?}");
    assert_eq!(app.count("SELECT count(*) FROM webhook_inbox WHERE key_version = 1").await, 0);
    assert_eq!(root.get(&path).await.json()["body"], json!(body));

    let mut transaction = state.pool.begin().await.unwrap();
    keys::revoke(&mut transaction, &state.keyring, purpose, Algorithm::EdDsa, app.clock.now()).await.unwrap();
    assert_eq!(rows::clear_revoked(&mut transaction, purpose, app.clock.now()).await.unwrap(), 1);
    transaction.commit().await.unwrap();
    let gone = root.get(&path).await.json();
    assert_eq!((&gone["body"], &gone["webhook"]["state"]), (&json!(null), &json!("processed")));
    assert_eq!(app.deliver("hr", &signed(&app, HR, "msg_1", &body), &body).await.status, 200);
}
