//! Somebody without a key, or with part of what a sender has, tells the service something in a sender's name.

use crate::support::{
    app::TestApp,
    webhooks::{self, BILLING, CODE, HR, HR_BEFORE, Headers, KEYED, by_github, by_stripe, event, signed, signed_at},
};
use serde_json::json;

const STORED: &str = "SELECT count(*) FROM webhook_inbox";

fn body() -> String {
    event("user.deactivated", &json!({ "email": "ada@example.org" }))
}

/// With one header changed.
fn with(headers: &Headers, name: &str, change: impl Fn(&str) -> String) -> Headers {
    headers.iter().map(|(known, value)| (known.clone(), if known == name { change(value) } else { value.clone() })).collect()
}

fn without(headers: &Headers, name: &str) -> Headers {
    headers.iter().filter(|(known, _)| known != name).cloned().collect()
}

#[actix_web::test]
async fn what_is_altered_is_refused_and_nobody_is_told_why() {
    let app = TestApp::with_sources(&[]).await;
    let (good, fine) = (body(), signed(&app, HR, "msg_1", &body()));
    let other = event("user.deactivated", &json!({ "email": "eve@example.org" }));
    let now = app.clock.now().unix_timestamp();
    let attempts = [
        ("another body", fine.clone(), other),
        ("a blank more", fine.clone(), format!("{good} ")),
        ("another id", with(&fine, "webhook-id", |_| "msg_2".into()), good.clone()),
        ("a later time", with(&fine, "webhook-timestamp", |_| (now + 1).to_string()), good.clone()),
        ("another secret", signed(&app, BILLING_AS_STANDARD, "msg_1", &good), good.clone()),
        ("another source's secret", signed(&app, webhooks::FENCED, "msg_1", &good), good.clone()),
        ("part of the signature", with(&fine, "webhook-signature", |text| text[..20].into()), good.clone()),
        ("nothing of it", with(&fine, "webhook-signature", |_| "v1,".into()), good.clone()),
    ];
    let mut answers = Vec::new();
    let count = attempts.len();
    for (what, headers, body) in attempts {
        let answer = app.deliver("hr", &headers, &body).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "WEBHOOK_REFUSED"), "{what}: {}", answer.text);
        answers.push(answer.json()["error"]["message"].clone());
    }
    // out of time, too
    let stale = app.deliver("hr", &signed_at(now - 301, HR, "msg_1", &good), &good).await;
    assert_eq!(stale.code(), "WEBHOOK_REFUSED");
    answers.push(stale.json()["error"]["message"].clone());
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "one answer for all: {answers:?}");
    assert_eq!(app.refusals("signature").await, i64::try_from(count).unwrap());
    assert_eq!(app.count(STORED).await, 0);
    assert_eq!(app.deliver("hr", &fine, &good).await.status, 202, "none of it spent the id");
}

/// Well-formed, and nobody's.
const BILLING_AS_STANDARD: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

#[actix_web::test]
async fn missing_and_doubled_parts_are_refused() {
    let app = TestApp::with_sources(&[]).await;
    let (good, fine) = (body(), signed(&app, HR, "msg_1", &body()));
    let mut attempts: Vec<Headers> = fine.iter().map(|(name, _)| without(&fine, name)).collect();
    attempts.extend(fine.iter().map(|twice| [fine.as_slice(), std::slice::from_ref(twice)].concat()));
    attempts.push(Vec::new());
    for id in ["msg.1", "msg 1", ""] {
        attempts.push(with(&fine, "webhook-id", |_| id.into()));
    }
    for timestamp in ["now", "-1", "0", "1 2", "1e9"] {
        attempts.push(with(&fine, "webhook-timestamp", |_| timestamp.into()));
    }
    let count = attempts.len();
    for headers in attempts {
        let answer = app.deliver("hr", &headers, &good).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "MALFORMED"), "{headers:?}");
    }
    assert_eq!(app.refusals("headers").await, i64::try_from(count).unwrap());
    assert_eq!(app.count(STORED).await, 0);
}

/// A message holds by its source's scheme and kind of key, or not at all.
#[actix_web::test]
async fn no_source_is_talked_into_another_scheme() {
    let app = TestApp::with_sources(&[]).await;
    let (good, now) = (body(), app.clock.now().unix_timestamp());
    let keyed = signed(&app, KEYED, "msg_1", &good);
    // the public key is known to everybody: as a secret it must be worth nothing
    let public = webhooks::sources().split("whpk_").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let by_public = signed(&app, &format!("whsec_{public}"), "msg_1", &good);
    let relabelled = with(&keyed, "webhook-signature", |text| text.replace("v1a,", "v1,"));
    for (what, headers) in
        [("the public key as a secret", by_public), ("v1a as v1", relabelled), ("a secret of hr", signed(&app, HR, "msg_1", &good))]
    {
        let answer = app.deliver("keyed", &headers, &good).await;
        assert_eq!(answer.code(), "WEBHOOK_REFUSED", "{what}: {}", answer.text);
    }
    for (source, headers) in
        [("hr", keyed.clone()), ("hr", with(&signed(&app, HR, "msg_1", &good), "webhook-signature", |text| text.replace("v1,", "v0,")))]
    {
        assert_eq!(app.deliver(source, &headers, &good).await.code(), "WEBHOOK_REFUSED", "{headers:?}");
    }
    // headers of another scheme are not looked at, with the right secret or without
    for (source, headers) in
        [("hr", by_github("1", &good)), ("hr", by_stripe(now, &good)), ("code", by_stripe(now, &good)), ("billing", by_github("1", &good))]
    {
        assert_eq!(app.deliver(source, &headers, &good).await.code(), "MALFORMED", "{source}");
    }
    assert_eq!(app.count(STORED).await, 0);
    for (source, headers) in [("keyed", keyed), ("code", by_github("1", &good))] {
        assert_eq!(app.deliver(source, &headers, &good).await.status, 202, "{source}");
    }
}

#[actix_web::test]
async fn a_forged_body_of_github_or_stripe_is_refused() {
    let app = TestApp::with_sources(&[]).await;
    let now = app.clock.now().unix_timestamp();
    let (push, paid) = (json!({ "ref": "main" }).to_string(), json!({ "id": "evt_1", "type": "invoice.paid" }).to_string());
    for (source, headers, body) in [("code", by_github("1", &push), "{}"), ("billing", by_stripe(now, &paid), "{}")] {
        assert_eq!(app.deliver(source, &headers, body).await.code(), "WEBHOOK_REFUSED", "{source}");
    }
    // the time is signed, too
    let moved = with(&by_stripe(now - 400, &paid), "stripe-signature", |text| text.replace(&(now - 400).to_string(), &now.to_string()));
    assert_eq!(app.deliver("billing", &moved, &paid).await.code(), "WEBHOOK_REFUSED");
    assert_eq!(app.count(STORED).await, 0);
    assert_ne!(CODE, BILLING);
}

/// Each signature in the list is compared: a list without end is work without end.
#[actix_web::test]
async fn a_flood_of_signatures_is_refused_whole() {
    let app = TestApp::with_sources(&[]).await;
    let (good, fine) = (body(), signed(&app, HR, "msg_1", &body()));
    let flood = |others: usize| with(&fine, "webhook-signature", |text| format!("{}{text}", format!("v1,{} ", "A".repeat(43) + "=").repeat(others)));
    assert_eq!(app.deliver("hr", &flood(8), &good).await.code(), "MALFORMED");
    assert_eq!(app.deliver("hr", &flood(2000), &good).await.status, 431, "not even read");
    assert_eq!(app.count(STORED).await, 0);
    assert_eq!(app.deliver("hr", &flood(7), &good).await.status, 202);
}

#[actix_web::test]
async fn a_secret_that_was_taken_away_is_worth_nothing() {
    let app = TestApp::with_sources(&[]).await;
    let body = event("room.booked", &json!({}));
    assert_eq!(app.deliver("hr", &signed(&app, HR_BEFORE, "msg_before", &body), &body).await.status, 202, "while it is being replaced");
    let sources = json!([{ "name": "hr", "scheme": "standard", "secrets": [HR] }]).to_string();
    let after = app.node_with(&[("PORTCULLIS_WEBHOOK_SOURCES", &sources)]).await;
    assert_eq!(after.deliver("hr", &signed(&app, HR_BEFORE, "msg_after", &body), &body).await.code(), "WEBHOOK_REFUSED");
    assert_eq!(after.deliver("hr", &signed(&app, HR, "msg_after", &body), &body).await.status, 202);
    assert_eq!(after.deliver("keyed", &signed(&app, KEYED, "msg_after", &body), &body).await.status, 404, "nor is a source");
}

#[actix_web::test]
async fn what_holds_and_is_no_json_object_is_not_stored() {
    let app = TestApp::with_sources(&[]).await;
    for body in ["", "[]", "\"x\"", "{", r#"{"type":"a","type":"b"}"#, "type=user.deactivated"] {
        let answer = app.deliver("hr", &signed(&app, HR, "msg_1", body), body).await;
        assert_eq!(answer.code(), "MALFORMED", "{body}");
    }
    let now = app.clock.now().unix_timestamp();
    for body in [r#"{"type":"invoice.paid"}"#, r#"{"id":7}"#, r#"{"id":"evt.1"}"#] {
        assert_eq!(app.deliver("billing", &by_stripe(now, body), body).await.code(), "MALFORMED", "no id, nothing to spend: {body}");
    }
    assert_eq!((app.refusals("contents").await, app.count(STORED).await), (9, 0));
}
