//! An administrator's password is stolen, and administrators need a second factor.

use crate::support::app::{PASSWORD, TestApp};
use serde_json::json;
use time::Duration;

#[actix_web::test]
async fn what_a_role_allows_counts_for_who_has_shown_a_second_factor() {
    let app = TestApp::start().await;
    let mut root = app.administrator().await;
    let demand = json!({ "required": true });
    let early = root.put("/v1/roles/administrator/second-factor", demand.clone()).await;
    assert_eq!(early.code(), "STEP_UP_REQUIRED", "whoever demands it has shown it");
    let (authenticator, _) = root.add_totp().await;
    let (second, refresh) = {
        app.member_with("second@example.org", "administrator").await;
        app.token_sign_in("second@example.org").await
    };
    assert_eq!(second.get("/v1/users").await.status, 200);
    let set = root.put("/v1/roles/administrator/second-factor", demand).await;
    assert_eq!((set.status.as_u16(), set.json()["requires_second_factor"].clone()), (200, json!(true)), "{}", set.text);

    let refused = second.get("/v1/users").await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (401, "STEP_UP_REQUIRED"));
    assert!(refused.header("www-authenticate").contains(r#"acr_values="aal2""#), "{}", refused.header("www-authenticate"));
    assert_eq!(second.get("/v1/me/roles").await.json()["permissions"], json!(["documents:read", "documents:write"]));
    assert_eq!(second.get("/v1/me/mfa").await.json()["is_required"], json!(true));
    let next = second.exchange(&refresh).await;
    let mut stolen = app.visitor();
    stolen.bearer = next.json()["access_token"].as_str().map(str::to_owned);
    assert_eq!(stolen.get("/v1/auth/verify?permission=users:read").await.code(), "STEP_UP_REQUIRED", "the token does not say so either");
    assert_eq!(root.get("/v1/users").await.status, 200);

    // nor does away with the demand
    app.role("strict", &["users:read"]).await;
    assert_eq!(root.put("/v1/roles/strict/second-factor", json!({ "required": true })).await.status, 200);
    app.role("clerk", &["roles:manage", "users:read"]).await;
    let clerk = app.member_with("clerk@example.org", "clerk").await;
    assert_eq!(clerk.put("/v1/roles/strict", json!({ "description": "x", "permissions": [] })).await.code(), "STEP_UP_REQUIRED");
    assert_eq!(clerk.delete("/v1/roles/strict").await.code(), "STEP_UP_REQUIRED");
    assert_eq!(clerk.put("/v1/roles/strict/second-factor", json!({ "required": false })).await.code(), "STEP_UP_REQUIRED");

    // whoever has the password and not the mail sets none up
    let thief = app.sign_in("second@example.org").await;
    assert_eq!(thief.post("/v1/me/mfa/totp", json!({})).await.code(), "MAILBOX_PROOF_REQUIRED");
    // whoever has no factor sets one up and goes on
    stolen.step_up(json!({ "password": PASSWORD })).await;
    let (theirs, _) = stolen.add_totp().await;
    assert_eq!(stolen.get("/v1/users").await.status, 200);
    app.clock.advance(Duration::seconds(90));
    let mut again = app.visitor();
    let token = again.half_sign_in("second@example.org", PASSWORD).await;
    assert_eq!(again.show(&token, json!({ "code": theirs.code(&app) })).await.status, 200);
    assert_eq!(again.get("/v1/users").await.status, 200);
    assert_eq!(root.step_up(json!({ "code": authenticator.code(&app) })).await.status, 200);
}

#[actix_web::test]
async fn the_demand_is_beyond_who_does_not_hold_the_role() {
    let app = TestApp::start().await;
    app.role("clerk", &["roles:manage", "roles:read"]).await;
    let mut clerk = app.member_with("clerk@example.org", "clerk").await;
    clerk.add_totp().await;
    assert_eq!(clerk.put("/v1/roles/administrator/second-factor", json!({ "required": true })).await.code(), "FORBIDDEN");
    assert_eq!(clerk.put("/v1/roles/clerk/second-factor", json!({ "required": true })).await.status, 200);
    assert_eq!(clerk.put("/v1/roles/nobody/second-factor", json!({ "required": true })).await.code(), "NOT_FOUND");
}
