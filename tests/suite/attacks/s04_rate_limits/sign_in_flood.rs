//! One address begins sign-ins with another service without end: each writes a row, and asks nobody anything before it is counted.

use crate::support::{app::TestApp, provider::Provider};
use serde_json::json;

#[actix_web::test]
async fn one_address_begins_so_many_and_no_more() {
    let provider = Provider::start();
    let entries = json!([provider.entry("corp", true)]).to_string();
    let app = TestApp::with(&[("PORTCULLIS_IDENTITY_PROVIDERS", &entries), ("PORTCULLIS_OAUTH_QUOTA", "5")]).await;
    for _ in 0..5 {
        assert_eq!(app.visitor().post("/v1/auth/oauth/corp/authorize", json!({})).await.status, 200);
    }
    let refused = app.visitor().post("/v1/auth/oauth/corp/authorize", json!({})).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (429, "RATE_LIMITED"));
    assert!(refused.header("ratelimit").contains("\"oauth\""), "{}", refused.header("ratelimit"));
    assert_eq!(app.count("SELECT count(*) FROM challenges").await, 5);
}
