//! A thief who got in with the password makes a passkey of their own, to come back with whatever the owner does about the password.
//! Control: `src/credentials/second_factor/store.rs`.

use crate::support::{
    app::{PUBLIC_URL, TestApp},
    device::Device,
};
use serde_json::json;

const ADA: &str = "ada@example.org";
const NEW: &str = "slow copper rain on wide steps";

#[actix_web::test]
async fn the_link_about_the_thiefs_device_takes_the_thiefs_passkey_away_and_leaves_the_owners() {
    let app = TestApp::start().await;
    let (mut adas, mut thiefs) = (Device::at(PUBLIC_URL), Device::at(PUBLIC_URL));
    app.member(ADA).await.add_passkey(&mut adas, "Laptop").await;
    app.clock.advance(time::Duration::hours(1));
    let mut thief = app.visitor();
    assert_eq!(thief.passkey_sign_in(&mut adas).await.status, 200, "a laptop that was left open");
    assert_eq!(thief.add_passkey(&mut thiefs, "Laptop").await.status, 201);
    let letter = app.letter_about(ADA, "/go/disown").await;
    assert_eq!(app.visitor().follow("/v1/auth/sessions/disown", &letter).await.status, 204);
    let letter = app.letter_about(ADA, "/go/reset").await;
    assert_eq!(app.visitor().post("/v1/auth/password/reset", json!({ "token": letter.token, "password": NEW })).await.status, 204);
    assert_eq!(app.visitor().passkey_sign_in(&mut thiefs).await.code(), "INVALID_CREDENTIALS");
    assert_eq!(app.visitor().passkey_sign_in(&mut adas).await.status, 200);
}
