//! Options of passkeys are asked for without end, each a row; or answers are tried without end.
//! Controls: the quotas `passkey_options` and `wrong_passkeys`.

use crate::support::{
    app::{PUBLIC_URL, TestApp},
    device::Device,
};
use serde_json::json;
use time::Duration;

#[actix_web::test]
async fn options_and_wrong_answers_are_counted_by_address() {
    let settings =
        [("PORTCULLIS_PASSKEY_OPTIONS_QUOTA", "8"), ("PORTCULLIS_WRONG_PASSKEY_QUOTA", "3"), ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.0/8")];
    let app = TestApp::with(&settings).await;
    let mut ada = app.member("ada@example.org").await;
    let mut device = Device::at(PUBLIC_URL);
    assert_eq!(ada.add_passkey(&mut device, "Laptop").await.status, 201);
    let mut liar = Device { origin: "https://evil.example".into(), ..device.clone() };
    let visitor = app.visitor();
    let begun = visitor.passkey_options().await;
    for _ in 0..3 {
        assert_eq!(visitor.show_passkey(&begun, liar.get(&begun["options"])).await.code(), "INVALID_CREDENTIALS");
    }
    let right = device.get(&begun["options"]);
    assert_eq!(visitor.show_passkey(&begun, right.clone()).await.code(), "RATE_LIMITED", "whatever it is");
    let body = json!({ "token": begun["token"], "credential": right });
    assert_eq!(visitor.post_from("203.0.113.7", "/v1/auth/passkeys/login", body).await.status, 200, "from elsewhere");

    // two are spent
    for _ in 0..6 {
        visitor.passkey_options().await;
    }
    let rows = app.count("SELECT count(*) FROM challenges").await;
    let calls = [(&visitor, "/v1/auth/passkeys/options"), (&ada, "/v1/me/passkeys/options"), (&ada, "/v1/auth/step-up/options")];
    for (who, path) in calls {
        assert_eq!(who.post(path, json!({})).await.code(), "RATE_LIMITED", "{path}");
    }
    assert_eq!(visitor.post("/v1/auth/mfa/options", json!({ "mfa_token": "x" })).await.code(), "RATE_LIMITED");
    assert_eq!(app.count("SELECT count(*) FROM challenges").await, rows);
    app.clock.advance(Duration::minutes(30));
    visitor.passkey_options().await;
    app.clock.advance(Duration::days(8));
    app.run_jobs().await;
    assert_eq!(app.count("SELECT count(*) FROM challenges").await, 0, "what was begun and not finished goes");
}
