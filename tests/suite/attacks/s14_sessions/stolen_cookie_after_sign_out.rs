//! The attacker copied the cookie before its owner signed out, in another browser or in parallel.

use crate::support::app::TestApp;
use serde_json::json;

#[actix_web::test]
async fn a_copied_cookie_dies_with_the_session_and_only_that_session() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    let phone = app.sign_in("ada@example.org").await;
    let copy = ada.clone();
    assert_eq!(copy.get("/v1/me").await.status, 200);
    assert_eq!(ada.post("/v1/auth/logout", json!({})).await.status, 204);
    assert_eq!(copy.get("/v1/me").await.status, 401);
    assert_eq!(copy.patch("/v1/me", json!({ "name": "Mallory" })).await.status, 401);
    assert_eq!(phone.get("/v1/me").await.status, 200, "another device stays signed in");
    let live = app.count("SELECT count(*) FROM sessions WHERE revoked_at IS NULL").await;
    assert_eq!(live, 1, "the row says so too, not only the cookie's missing key");
}

#[actix_web::test]
async fn a_disabled_account_is_out_at_once_and_cannot_come_back() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    sqlx::query("UPDATE users SET status = 'disabled'").execute(&app.database.pool).await.unwrap();
    assert_eq!(ada.get("/v1/me").await.status, 401);
    let answer = app.visitor().sign_in("ada@example.org", crate::support::app::PASSWORD).await;
    assert_eq!(answer.code(), "INVALID_CREDENTIALS");
}
