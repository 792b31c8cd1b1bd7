//! Locking an owner out, or oneself: the last way into an account is removed, by two calls at once if one does not do it.
//! Control: `src/api/passkeys/mod.rs`.

use crate::support::{
    app::{PUBLIC_URL, TestApp},
    device::Device,
};
use futures_util::future::join_all;

#[actix_web::test]
async fn the_last_way_in_stays() {
    let app = TestApp::start().await;
    let mut ada = app.member("ada@example.org").await;
    let mut device = Device::at(PUBLIC_URL);
    let mut paths = Vec::new();
    for name in ["Laptop", "Phone"] {
        let added = ada.add_passkey(&mut device, name).await.json();
        paths.push(format!("/v1/me/passkeys/{}", added["passkey"]["id"].as_str().unwrap()));
    }
    // a session of its own: the first of two calls renews the cookie that carried it
    let mut elsewhere = app.visitor();
    assert_eq!(elsewhere.passkey_sign_in(&mut device).await.status, 200);
    elsewhere.agree_by_mail().await;
    // voided, as by whoever takes a change of address back
    sqlx::query("DELETE FROM passwords").execute(&app.database.pool).await.unwrap();
    let answers = join_all([ada.delete(&paths[0]), elsewhere.delete(&paths[1])]).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{answers:?}");
    assert!(answers.iter().any(|answer| answer.code() == "LAST_WAY_IN"), "{answers:?}");
    assert_eq!(app.count("SELECT count(*) FROM passkeys").await, 1);
}
