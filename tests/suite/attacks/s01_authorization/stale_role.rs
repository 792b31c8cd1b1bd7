//! A role was taken away, and its holder goes on with the session that they have.

use crate::support::app::TestApp;
use serde_json::json;

#[actix_web::test]
async fn what_is_taken_away_is_gone_with_the_next_request() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let ada = app.member_with("ada@example.org", "auditor").await;
    let id = app.id_of("ada@example.org").await;
    let version = || app.count("SELECT authz_version::bigint FROM users WHERE email = 'ada@example.org'");
    let before = version().await;
    assert_eq!(ada.get("/v1/audit/events").await.status, 200);
    assert_eq!(root.put(&format!("/v1/users/{id}/roles"), json!({ "roles": [] })).await.status, 200);
    assert_eq!(ada.get("/v1/audit/events").await.code(), "FORBIDDEN");
    assert!(version().await > before, "whoever keeps a copy of what she may do sees that it is stale");
}
