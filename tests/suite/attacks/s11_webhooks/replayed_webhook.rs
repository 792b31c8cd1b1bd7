//! Somebody who saw a message on its way sends it again: at once, later, many times at once, or under another id.

use crate::support::{
    app::{Answer, TestApp},
    webhooks::{self, HR, by_github, by_stripe, event, signed, signed_at},
};
use futures_util::future::join_all;
use serde_json::json;
use time::Duration;

const PROCESSED: &str = "SELECT count(*) FROM audit_events WHERE event = 'webhook.processed'";

fn code(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.code())
}

#[actix_web::test]
async fn a_time_too_far_from_ours_is_refused_on_both_sides() {
    let app = TestApp::with_sources(&[]).await;
    let body = event("room.booked", &json!({}));
    let now = app.clock.now().unix_timestamp();
    // the clock goes on: a few seconds of margin on the side that it moves to
    for (name, seconds, status) in [("old", -301, 401), ("edge", -290, 202), ("ahead", 300, 202), ("future", 320, 401), ("far", 9_000_000, 401)] {
        let answer = app.deliver("hr", &signed_at(now + seconds, HR, &format!("msg_{name}"), &body), &body).await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.text);
    }
    let paid = json!({ "id": "evt_1", "type": "invoice.paid" }).to_string();
    assert_eq!(code(&app.deliver("billing", &by_stripe(now - 301, &paid), &paid).await), (401, "WEBHOOK_REFUSED".into()));
    assert_eq!(app.refusals("time").await, 4);
}

/// A sender that missed the answer sends the same again: it hears that all is well, and nothing happens.
#[actix_web::test]
async fn a_copy_inside_the_window_changes_nothing_and_outside_it_is_refused() {
    let app = TestApp::with_sources(&[]).await;
    let body = event("room.booked", &json!({}));
    let headers = signed(&app, HR, "msg_1", &body);
    let id = app.deliver("hr", &headers, &body).await.json()["id"].clone();
    app.inbox_is(id.as_str().unwrap(), "processed").await;
    let again = app.deliver("hr", &headers, &body).await;
    assert_eq!((again.status.as_u16(), &again.json()["id"], &again.json()["status"]), (200, &id, &json!("repeated")));
    // a retry of the sender's own has another time and the same id
    let later = app.clock.now().unix_timestamp() + 10;
    assert_eq!(app.deliver("hr", &signed_at(later, HR, "msg_1", &body), &body).await.status, 200);
    app.clock.advance(Duration::seconds(301));
    assert_eq!(code(&app.deliver("hr", &headers, &body).await), (401, "WEBHOOK_REFUSED".into()));
    app.run_jobs().await;
    assert_eq!((app.count("SELECT count(*) FROM webhook_inbox").await, app.count(PROCESSED).await), (1, 1));
    assert_eq!(app.count("SELECT count(*) FROM audit_events WHERE event = 'webhook.repeated'").await, 2);
}

/// An id says which message it is: a second one under it is a mistake or an attack, and does not replace the first.
#[actix_web::test]
async fn another_body_under_a_spent_id_is_refused() {
    let app = TestApp::with_sources(&[]).await;
    let (body, other) = (event("room.booked", &json!({})), event("room.booked", &json!({ "room": 2 })));
    app.told(HR, "msg_1", &body).await;
    assert_eq!(code(&app.deliver("hr", &signed(&app, HR, "msg_1", &other), &other).await), (401, "WEBHOOK_REFUSED".into()));
    assert_eq!((app.refusals("reused").await, app.count("SELECT count(*) FROM webhook_inbox").await), (1, 1));
    // ids are each source's own
    let theirs = app.deliver("keyed", &signed(&app, webhooks::KEYED, "msg_1", &other), &other).await;
    assert_eq!(theirs.status, 202);
}

/// Two nodes, a hundred copies at once: they wait for each other in the database, and one of them is new.
#[actix_web::test]
async fn a_hundred_copies_at_once_are_one_message() {
    let app = TestApp::with_sources(&[]).await;
    let other = app.node_with(&[("PORTCULLIS_WEBHOOK_SOURCES", &webhooks::sources())]).await;
    let body = event("room.booked", &json!({}));
    let headers = signed(&app, HR, "msg_1", &body);
    let answers = join_all((0..100).map(|n| if n % 2 == 0 { &app } else { &other }.deliver("hr", &headers, &body))).await;
    let with = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((with(202), with(200)), (1, 99), "{:?}", answers.iter().map(|answer| answer.status.as_u16()).collect::<Vec<_>>());
    let ids: std::collections::BTreeSet<String> = answers.iter().map(|answer| answer.json()["id"].to_string()).collect();
    assert_eq!(ids.len(), 1);
    app.inbox_is(ids.first().unwrap().trim_matches('"'), "processed").await;
    app.run_jobs().await;
    assert_eq!((app.count("SELECT count(*) FROM webhook_inbox").await, app.count(PROCESSED).await), (1, 1));
}

/// Two nodes that both find a message due: one of them deals with it, also when the other's lease has run out meanwhile.
#[actix_web::test]
async fn what_two_nodes_take_is_dealt_with_once() {
    let app = TestApp::with_sources(&[]).await;
    let other = app.node_with(&[("PORTCULLIS_WEBHOOK_SOURCES", &webhooks::sources())]).await;
    let bodies: Vec<String> = (0..40).map(|n| event("room.booked", &json!({ "room": n }))).collect();
    let told = bodies.iter().enumerate().map(|(n, body)| app.deliver("hr", &signed(&app, HR, &format!("msg_{n}"), body), body));
    assert!(join_all(told).await.iter().all(|answer| answer.status == 202));
    app.clock.advance(Duration::seconds(11));
    let (one, two) = tokio::join!(app.try_jobs(), other.try_jobs());
    one.and(two).unwrap();
    app.wait_for("an empty inbox", async || (app.count("SELECT count(*) FROM webhook_inbox WHERE state <> 'processed'").await == 0).then_some(()))
        .await;
    assert_eq!(app.count(PROCESSED).await, 40);
    assert_eq!(app.count("SELECT count(DISTINCT detail->>'webhook') FROM audit_events WHERE event = 'webhook.processed'").await, 40);
}

/// GitHub signs neither a time nor the delivery's id: whoever has one message could send it for ever, under any number of ids.
#[actix_web::test]
async fn a_message_of_github_is_spent_for_good_under_any_id() {
    let app = TestApp::with_sources(&[]).await;
    let body = json!({ "action": "opened", "number": 7 }).to_string();
    let first = app.deliver("code", &by_github("72d3162e-cc78-11e3-81ab-4c9367dc0958", &body), &body).await;
    assert_eq!(first.status, 202, "{}", first.text);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    app.inbox_is(&id, "processed").await;
    for delivery in ["72d3162e-cc78-11e3-81ab-4c9367dc0958", "another"] {
        assert_eq!(app.deliver("code", &by_github(delivery, &body), &body).await.status, 200);
    }
    app.clock.advance(Duration::days(31));
    app.run_jobs().await;
    assert_eq!(app.count("SELECT count(*) FROM webhook_inbox WHERE sealed IS NULL").await, 1, "what it said is forgotten, and it is not");
    assert_eq!(app.deliver("code", &by_github("a-year-later", &body), &body).await.status, 200);
    assert_eq!(app.count(PROCESSED).await, 1);
}

/// Stripe's event is spent by the id in its body, which is signed.
#[actix_web::test]
async fn an_event_of_stripe_counts_once() {
    let app = TestApp::with_sources(&[]).await;
    let (now, body) = (app.clock.now().unix_timestamp(), json!({ "id": "evt_1", "type": "invoice.paid" }).to_string());
    assert_eq!(app.deliver("billing", &by_stripe(now, &body), &body).await.status, 202);
    assert_eq!(app.deliver("billing", &by_stripe(now + 1, &body), &body).await.status, 200);
    let other = json!({ "id": "evt_1", "type": "invoice.paid", "amount": 2 }).to_string();
    assert_eq!(app.deliver("billing", &by_stripe(now, &other), &other).await.code(), "WEBHOOK_REFUSED");
}
