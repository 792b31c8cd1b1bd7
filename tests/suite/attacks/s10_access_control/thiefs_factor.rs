//! A thief who got in with the password sets up a second factor of their own, to stay and to keep the owner out.

use crate::support::app::{PASSWORD, TestApp};
use serde_json::json;

const ADA: &str = "ada@example.org";
const NEW: &str = "slow copper rain on wide steps";

async fn reset(app: &TestApp) {
    let letter = app.letter_about(ADA, "/go/reset").await;
    assert_eq!(app.visitor().post("/v1/auth/password/reset", json!({ "token": letter.token, "password": NEW })).await.status, 204);
}

#[actix_web::test]
async fn the_link_about_the_thiefs_device_takes_the_thiefs_factor_away() {
    let app = TestApp::start().await;
    app.member(ADA).await;
    let mut thief = app.sign_in(ADA).await;
    thief.add_totp().await;
    let letter = app.letter_about(ADA, "/go/disown").await;
    assert_eq!(app.visitor().follow("/v1/auth/sessions/disown", &letter).await.status, 204);
    assert_eq!(thief.get("/v1/me").await.status, 401);
    reset(&app).await;
    assert_eq!(app.visitor().sign_in(ADA, NEW).await.status, 200, "the owner is in without the thief's codes");
}

#[actix_web::test]
async fn it_leaves_the_owners_own_factor() {
    let app = TestApp::start().await;
    let (authenticator, _) = app.member(ADA).await.add_totp().await;
    app.clock.advance(time::Duration::minutes(5));
    let mut thief = app.visitor();
    let token = thief.half_sign_in(ADA, PASSWORD).await;
    assert_eq!(thief.show(&token, json!({ "code": authenticator.code(&app) })).await.status, 200, "a code that was phished");
    let letter = app.letter_about(ADA, "/go/disown").await;
    assert_eq!(app.visitor().follow("/v1/auth/sessions/disown", &letter).await.status, 204);
    reset(&app).await;
    app.visitor().half_sign_in(ADA, NEW).await;
}
