//! Somebody has a copy of a device's keys and uses it. The device counts what it signs, the copy starts from where it was taken.
//! Controls: `src/credentials/passkey/mod.rs`, `src/credentials/passkey/store.rs`.

use crate::support::{
    app::{PUBLIC_URL, TestApp},
    device::Device,
};
use futures_util::future::join_all;

const ADA: &str = "ada@example.org";

#[actix_web::test]
async fn a_counter_that_goes_back_refuses_and_is_told() {
    let app = TestApp::start().await;
    let mut device = Device::at(PUBLIC_URL);
    app.member(ADA).await.add_passkey(&mut device, "Laptop").await;
    assert_eq!(app.visitor().passkey_sign_in(&mut device).await.status, 200);
    let mut copy = device.clone();
    for _ in 0..3 {
        assert_eq!(app.visitor().passkey_sign_in(&mut device).await.status, 200);
    }
    for _ in 0..3 {
        assert_eq!(app.visitor().passkey_sign_in(&mut copy).await.code(), "INVALID_CREDENTIALS");
    }
    assert_eq!(app.count("SELECT count(*) FROM audit_events WHERE event = 'passkey.copied' AND outcome = 'refused'").await, 3);
    app.letter_about(ADA, "copy").await;
    // one that says 0 as if it did not count
    let mut mute = Device { step: 0, ..device.clone() };
    mute.keys[0].counter = 0;
    assert_eq!(app.visitor().passkey_sign_in(&mut mute).await.code(), "INVALID_CREDENTIALS");
    assert_eq!(app.visitor().passkey_sign_in(&mut device).await.status, 200, "the owner's goes on");
}

#[actix_web::test]
async fn of_two_with_the_same_count_one_gets_in() {
    let app = TestApp::start().await;
    let mut device = Device::at(PUBLIC_URL);
    app.member(ADA).await.add_passkey(&mut device, "Laptop").await;
    let visitor = app.visitor();
    let mut shown = Vec::new();
    for _ in 0..20 {
        let begun = visitor.passkey_options().await;
        let credential = device.clone().get(&begun["options"]);
        shown.push((begun, credential));
    }
    let answers = join_all(shown.iter().map(|(begun, credential)| visitor.show_passkey(begun, credential.clone()))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
}
