//! A body without end, or with an end that it does not say: it is counted as it comes, and nothing of it is kept.

use crate::support::{
    app::{Answer, TestApp},
    webhooks::{by_stripe, delivery},
};
use reqwest::Body;
use serde_json::json;

#[actix_web::test]
async fn a_body_beyond_its_sources_limit_is_refused_however_it_comes() {
    let app = TestApp::with_sources(&[]).await;
    let now = app.clock.now().unix_timestamp();
    let body = |length: usize| {
        let start = json!({ "id": "evt_1", "type": "invoice.paid", "note": "" }).to_string();
        start.replace("\"note\":\"\"", &format!("\"note\":\"{}\"", "x".repeat(length - start.len())))
    };
    let (longest, beyond) = (body(2048), body(2049));
    let refused = app.deliver("billing", &by_stripe(now, &beyond), &beyond).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (413, "TOO_LARGE"));
    // in pieces, without a length
    let pieces: Vec<Result<String, std::io::Error>> = (0..1000).map(|_| Ok("x".repeat(1000))).collect();
    let stream = Body::wrap_stream(futures_util::stream::iter(pieces));
    let answer = Answer::of(delivery(&app.visitor(), "billing", &by_stripe(now, &longest), "").body(stream)).await;
    assert_eq!(answer.code(), "TOO_LARGE", "{}", answer.text);
    assert_eq!((app.refusals("size").await, app.count("SELECT count(*) FROM webhook_inbox").await), (2, 0));
    assert_eq!(app.deliver("billing", &by_stripe(now, &longest), &longest).await.status, 202);
}
