//! A source that may disable accounts is taken over, or makes mistakes: what it can do ends where administrators' own rules do.

use crate::support::{
    app::TestApp,
    webhooks::{HR, KEYED, event, signed},
};
use serde_json::json;

#[actix_web::test]
async fn the_last_administrator_stays_whatever_a_source_says() {
    let app = TestApp::with_sources(&[("PORTCULLIS_WEBHOOK_INBOX_ATTEMPTS", "1")]).await;
    let root = app.administrator().await;
    let id = app.told(HR, "msg_1", &event("user.deactivated", &json!({ "email": "root@example.org" }))).await;
    app.inbox_is(&id, "dead").await;
    assert_eq!(root.get("/v1/users").await.status, 200);
    let reason = "SELECT count(*) FROM audit_events WHERE event = 'webhook.failed' AND detail->>'reason' = 'last_administrator'";
    assert_eq!(app.count(reason).await, 1);
    assert_eq!(app.count("SELECT count(*) FROM audit_events WHERE event = 'account.disabled'").await, 0);
    assert_eq!(app.count("SELECT count(*) FROM webhook_inbox WHERE sealed IS NOT NULL AND state = 'dead'").await, 1, "for an operator to look at");
}

#[actix_web::test]
async fn a_source_that_is_only_recorded_disables_nobody() {
    let app = TestApp::with_sources(&[]).await;
    let ada = app.member("ada@example.org").await;
    let body = event("user.deactivated", &json!({ "email": "ada@example.org" }));
    let answer = app.deliver("keyed", &signed(&app, KEYED, "msg_1", &body), &body).await;
    app.inbox_is(answer.json()["id"].as_str().unwrap(), "processed").await;
    assert_eq!(ada.get("/v1/me").await.status, 200);
}

#[actix_web::test]
async fn what_names_nobody_or_nobody_clearly_disables_nobody() {
    let app = TestApp::with_sources(&[]).await;
    let ada = app.member("ada@example.org").await;
    for (n, (data, state)) in [
        (json!({}), "dead"),
        (json!({ "email": null }), "dead"),
        (json!({ "email": ["ada@example.org"] }), "dead"),
        (json!({ "email": "ada" }), "dead"),
        (json!({ "id": "1" }), "dead"),
        (json!({ "id": { "$ne": 1 } }), "dead"),
        (json!("ada@example.org"), "dead"),
        (json!({ "email": "nobody@example.org" }), "processed"),
        (json!({ "id": "01900000-0000-7000-8000-000000000000" }), "processed"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = app.told(HR, &format!("msg_{n}"), &event("user.deactivated", &data)).await;
        app.inbox_is(&id, state).await;
    }
    let nobody = "SELECT count(*) FROM audit_events WHERE event = 'webhook.processed' AND detail->>'reason' = 'nobody'";
    assert_eq!(app.count(nobody).await, 2, "the log says that it came to nothing");
    let id = app.told(HR, "msg_other", &event("user.activated", &json!({ "email": "ada@example.org" }))).await;
    app.inbox_is(&id, "processed").await;
    assert_eq!(ada.get("/v1/me").await.status, 200);
}
