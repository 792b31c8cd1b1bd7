//! Somebody has a source's secret and sends from where the source never does, or says to be somewhere else.

use crate::support::{
    app::{Answer, TestApp},
    webhooks::{FENCED, delivery, event, signed},
};
use serde_json::json;

#[actix_web::test]
async fn from_outside_its_networks_a_source_is_not_believed() {
    let app = TestApp::with_sources(&[]).await;
    let body = event("room.booked", &json!({}));
    let headers = signed(&app, FENCED, "msg_1", &body);
    let plain = app.deliver("fenced", &headers, &body).await;
    assert_eq!((plain.status.as_u16(), plain.code().as_str()), (403, "FORBIDDEN"), "{}", plain.text);
    // nobody's proxy: what a caller says of where it is
    for name in ["x-forwarded-for", "forwarded", "x-real-ip", "true-client-ip"] {
        let claimed = delivery(&app.visitor(), "fenced", &headers, &body).header(name, "198.51.100.7");
        assert_eq!(Answer::of(claimed).await.status, 403, "{name}");
    }
    assert_eq!((app.refusals("network").await, app.count("SELECT count(*) FROM webhook_inbox").await), (5, 0));
}

#[actix_web::test]
async fn behind_a_trusted_proxy_the_address_that_it_saw_counts() {
    let app = TestApp::with_sources(&[("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    let body = event("room.booked", &json!({}));
    let headers = signed(&app, FENCED, "msg_1", &body);
    let from = |forwarded: &str| Answer::of(delivery(&app.visitor(), "fenced", &headers, &body).header("x-forwarded-for", forwarded));
    for forwarded in ["203.0.113.7", "198.51.100.7, 203.0.113.7", "198.51.100.7, rubbish", "2001:db8::1"] {
        assert_eq!(from(forwarded).await.status, 403, "{forwarded}");
    }
    assert_eq!(Answer::of(delivery(&app.visitor(), "fenced", &headers, &body)).await.status, 403, "the proxy itself is nowhere");
    assert_eq!(from("203.0.113.7, 198.51.100.7").await.status, 202);
}
