//! Phishing: a page that looks like ours, or a device that does not look who holds it, gets something signed and hands it in here.
//! Control: `src/credentials/passkey/mod.rs`.

use crate::support::{
    app::{PUBLIC_URL, TestApp},
    device::{Device, USER_PRESENT, USER_VERIFIED},
    log,
};
use serde_json::json;

/// What is wrong with each.
fn liars(honest: &Device) -> Vec<(&'static str, Device)> {
    let origin = |origin: &str| Device { origin: origin.into(), ..honest.clone() };
    vec![
        ("another site's page", origin("https://evil.example")),
        ("a sibling's page", origin("https://shop.localhost:8443")),
        ("another port", origin("https://localhost:9443")),
        ("clear text", origin("http://localhost:8443")),
        ("a path behind the origin", origin("https://localhost:8443/evil")),
        ("the origin in front of another", origin("https://localhost:8443.evil.example")),
        ("our page within another one", Device { cross_origin: true, ..honest.clone() }),
        ("a key of another site", Device { rp_id: Some("evil.example".into()), ..honest.clone() }),
        ("no user verification", Device { flags: USER_PRESENT, ..honest.clone() }),
        ("nobody there", Device { flags: USER_VERIFIED, ..honest.clone() }),
    ]
}

#[actix_web::test]
async fn nothing_that_was_made_or_signed_elsewhere_counts_here() {
    let app = TestApp::start().await;
    let mut ada = app.member("ada@example.org").await;
    let mut device = Device::at(PUBLIC_URL);
    for (what, mut liar) in liars(&device) {
        let refused = ada.add_passkey(&mut liar, "Liar").await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (422, "INVALID"), "{what}: {}", refused.text);
    }
    let begun = ada.post("/v1/me/passkeys/options", json!({})).await.json();
    let mut forgetful = device.create(&begun["options"]);
    forgetful["clientExtensionResults"]["credProps"]["rk"] = json!(false);
    let refused = ada.post("/v1/me/passkeys", json!({ "token": begun["token"], "name": "x", "credential": forgetful })).await;
    assert_eq!(refused.code(), "INVALID", "it would not be found without its id");
    assert_eq!(app.count("SELECT count(*) FROM passkeys").await, 0);

    device.keys.clear();
    assert_eq!(ada.add_passkey(&mut device, "Laptop").await.status, 201);
    let sessions = app.count("SELECT count(*) FROM sessions").await;
    for (what, mut liar) in liars(&device) {
        let refused = app.visitor().passkey_sign_in(&mut liar).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (401, "INVALID_CREDENTIALS"), "{what}: {}", refused.text);
    }
    assert_eq!(app.count("SELECT count(*) FROM sessions").await, sessions);
    let refused = app.count("SELECT count(*) FROM audit_events WHERE event = 'session.refused'").await;
    assert_eq!(refused, 10, "each is on record");
    assert!(!log::text().contains("webauthn_rs"), "the library logs none of it, as faults of ours least of all");
    // the liars' counters never counted
    assert_eq!(app.visitor().passkey_sign_in(&mut device).await.status, 200);
}

#[actix_web::test]
async fn an_altered_answer_is_worth_nothing() {
    let app = TestApp::start().await;
    let mut device = Device::at(PUBLIC_URL);
    app.member("ada@example.org").await.add_passkey(&mut device, "Laptop").await;
    for field in ["signature", "authenticatorData", "clientDataJSON", "userHandle"] {
        let visitor = app.visitor();
        let begun = visitor.passkey_options().await;
        let mut credential = device.get(&begun["options"]);
        let text = credential["response"][field].as_str().unwrap();
        let (at, other) = (text.len() / 2, if text.as_bytes()[text.len() / 2] == b'A' { "B" } else { "A" });
        credential["response"][field] = json!(format!("{}{other}{}", &text[..at], &text[at + 1..]));
        assert_eq!(visitor.show_passkey(&begun, credential).await.code(), "INVALID_CREDENTIALS", "{field}");
    }
    let visitor = app.visitor();
    let begun = visitor.passkey_options().await;
    for credential in [
        json!({}),
        json!({ "id": "AAAA", "rawId": "BBBB", "type": "public-key", "response": { "clientDataJSON": "AAAA", "authenticatorData": "AAAA", "signature": "AAAA" } }),
        json!({ "id": "AAAA", "rawId": "AAAA", "type": "password", "response": { "clientDataJSON": "AAAA", "authenticatorData": "AAAA", "signature": "AAAA" } }),
        json!({ "id": "AA==", "rawId": "AA==", "type": "public-key", "response": { "clientDataJSON": "AAAA", "authenticatorData": "AAAA", "signature": "AAAA" } }),
        json!({ "id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": { "clientDataJSON": "A".repeat(6000), "authenticatorData": "AAAA", "signature": "AAAA" } }),
    ] {
        let refused = visitor.show_passkey(&begun, credential.clone()).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (422, "INVALID"), "{credential}");
        assert!(refused.text.contains(r#""field":"credential"#), "{}", refused.text);
    }
    let wrong = json!({ "id": "AAAA", "rawId": "AA==", "type": "public-key", "response": { "clientDataJSON": "", "authenticatorData": "AAAA", "signature": "AAAA" } });
    let refused = visitor.show_passkey(&begun, wrong).await.json();
    let fields: Vec<_> = refused["error"]["fields"].as_array().unwrap().iter().map(|fault| fault["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["credential.rawId", "credential.response.clientDataJSON"], "by the names that were sent");
}
