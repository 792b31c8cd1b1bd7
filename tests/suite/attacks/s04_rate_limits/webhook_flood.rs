//! Somebody sends webhooks without end: forged ones, which are recorded, or a source that has gone mad, whose are stored.

use crate::support::{
    app::{Answer, TestApp},
    webhooks::{HR, by_github, delivery, event, signed},
};
use serde_json::json;

#[actix_web::test]
async fn forgeries_are_refused_unseen_after_so_many_and_the_source_goes_on() {
    let proxied = [("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.0/8"), ("PORTCULLIS_WEBHOOK_REFUSAL_QUOTA", "5")];
    let app = TestApp::with_sources(&proxied).await;
    let (body, other) = (event("room.booked", &json!({})), event("room.booked", &json!({ "room": 1 })));
    let send = |address: &str, id: &str, sent: &str| {
        Answer::of(delivery(&app.visitor(), "hr", &signed(&app, HR, id, &body), sent).header("x-forwarded-for", address))
    };
    for _ in 0..5 {
        assert_eq!(send("203.0.113.7", "msg_1", &other).await.status, 401);
    }
    let refused = send("203.0.113.7", "msg_1", &other).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (429, "RATE_LIMITED"));
    assert!(refused.header("ratelimit").contains("\"webhook_refusals\""), "{}", refused.header("ratelimit"));
    assert_eq!(app.refusals("signature").await, 5, "what is refused by the quota is not recorded");
    // the source calls from elsewhere, and what holds counts for nothing
    for n in 0..10 {
        assert_eq!(send("198.51.100.7", &format!("msg_{n}"), &body).await.status, 202);
    }
}

#[actix_web::test]
async fn a_source_stores_so_many_and_no_more() {
    let app = TestApp::with_sources(&[("PORTCULLIS_WEBHOOK_QUOTA", "3")]).await;
    let body = event("room.booked", &json!({}));
    for n in 0..3 {
        app.told(HR, &format!("msg_{n}"), &body).await;
    }
    let refused = app.deliver("hr", &signed(&app, HR, "msg_3", &body), &body).await;
    assert!(refused.code() == "RATE_LIMITED" && refused.header("ratelimit").contains("\"webhooks\""), "{}", refused.text);
    assert_eq!(app.count("SELECT count(*) FROM webhook_inbox").await, 3);
    let other = event("room.booked", &json!({ "room": 1 }));
    assert_eq!(
        app.deliver("hr", &signed(&app, HR, "msg_4", &body), &other).await.status,
        401,
        "strangers use nothing of it up, and are told nothing"
    );
}

/// GitHub signs no time: whoever saw one message can send it for ever. It uses up what its sender may get wrong, and nothing of the source's.
#[actix_web::test]
async fn copies_of_one_message_do_not_shut_its_source_out() {
    let quotas = [("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.0/8"), ("PORTCULLIS_WEBHOOK_QUOTA", "3"), ("PORTCULLIS_WEBHOOK_REFUSAL_QUOTA", "5")];
    let app = TestApp::with_sources(&quotas).await;
    let send = |address: &str, number: i64| {
        let body = json!({ "action": "opened", "number": number }).to_string();
        Answer::of(delivery(&app.visitor(), "code", &by_github("1", &body), &body).header("x-forwarded-for", address))
    };
    assert_eq!(send("198.51.100.7", 1).await.status, 202);
    for _ in 0..5 {
        assert_eq!(send("203.0.113.7", 1).await.status, 200);
    }
    let refused = send("203.0.113.7", 1).await;
    assert!(refused.status == 429 && refused.header("ratelimit").contains("\"webhook_refusals\""), "{}", refused.text);
    for number in 2..=3 {
        assert_eq!(send("198.51.100.7", number).await.status, 202, "the source goes on");
    }
    let refused = send("198.51.100.7", 4).await;
    assert!(refused.status == 429 && refused.header("ratelimit").contains("\"webhooks\""), "what is new counts: {}", refused.text);
}
