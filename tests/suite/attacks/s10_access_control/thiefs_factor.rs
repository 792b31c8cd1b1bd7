//! A thief who got in with the password, or with a session, sets up a second factor of their own, to stay and to keep the owner out; and whoever
//! reads the mail takes the owner's away.

use crate::support::{
    app::{PASSWORD, PUBLIC_URL, TestApp},
    device::Device,
};
use serde_json::json;

const ADA: &str = "ada@example.org";
const NEW: &str = "slow copper rain on wide steps";

async fn reset(app: &TestApp) {
    let letter = app.letter_about(ADA, "/go/reset").await;
    assert_eq!(app.visitor().post("/v1/auth/password/reset", json!({ "token": letter.token, "password": NEW })).await.status, 204);
}

#[actix_web::test]
async fn the_first_factor_takes_the_owners_mail() {
    let app = TestApp::start().await;
    let ada = app.member(ADA).await;
    let mallory = app.member("mallory@example.org").await;
    let thief = app.sign_in(ADA).await;
    assert_eq!(thief.post("/v1/me/mfa/totp", json!({})).await.code(), "MAILBOX_PROOF_REQUIRED");
    assert_eq!(thief.post("/v1/me/mfa/totp/confirm", json!({ "code": "000000" })).await.code(), "MAILBOX_PROOF_REQUIRED");
    let asked = thief.post("/v1/me/mailbox", json!({})).await.json()["proof_id"].clone();
    // a code of the thief's own mailbox
    let own = mallory.post("/v1/me/mailbox", json!({})).await.json()["proof_id"].clone();
    let code = app.letter_about("mallory@example.org", "how you sign in").await.code;
    for proof in [&asked, &own] {
        let shown = thief.post("/v1/me/mailbox/confirm", json!({ "proof_id": proof, "code": code })).await;
        assert_eq!(shown.code(), "INVALID_PROOF");
    }
    assert_eq!(thief.post("/v1/me/mfa/totp", json!({})).await.code(), "MAILBOX_PROOF_REQUIRED");
    let code = app.letter_about(ADA, "how you sign in").await.code;
    assert_eq!(ada.post("/v1/me/mailbox/confirm", json!({ "proof_id": asked, "code": code })).await.status, 204, "the owner, in a session of theirs");
    assert_eq!(thief.post("/v1/me/mfa/totp", json!({})).await.code(), "MAILBOX_PROOF_REQUIRED", "one session's agreement is no other's");
    assert_eq!(ada.post("/v1/me/mailbox/confirm", json!({ "proof_id": asked, "code": code })).await.code(), "INVALID_PROOF", "once");
    assert_eq!(ada.post("/v1/me/mfa/totp", json!({})).await.status, 201);
    app.clock.advance(time::Duration::minutes(10) + time::Duration::SECOND);
    let mut ada = ada;
    ada.step_up(json!({ "password": PASSWORD })).await;
    assert_eq!(ada.post("/v1/me/mfa/totp", json!({})).await.code(), "MAILBOX_PROOF_REQUIRED", "for a while");
}

/// The address is the thief's by now: it agrees to nothing.
#[actix_web::test]
async fn an_address_that_was_changed_lately_agrees_to_nothing() {
    let app = TestApp::start().await;
    app.member(ADA).await;
    let thief = app.sign_in(ADA).await;
    thief.post("/v1/me/email", json!({ "email": "thief@evil.example" })).await;
    let confirm = app.letter_about("thief@evil.example", "/go/email").await;
    assert_eq!(thief.follow("/v1/auth/email/confirm", &confirm).await.status, 204);
    let asked = thief.post("/v1/me/mailbox", json!({})).await.json()["proof_id"].clone();
    app.letter_about(ADA, "how you sign in").await;
    app.all_letters_sent().await;
    assert!(!app.letters_to("thief@evil.example").iter().any(|letter| letter.text.contains("how you sign in")));
    assert_eq!(thief.post("/v1/me/mailbox/confirm", json!({ "proof_id": asked, "code": "00000000" })).await.code(), "INVALID_PROOF");
    assert_eq!(thief.post("/v1/me/mfa/totp", json!({})).await.code(), "MAILBOX_PROOF_REQUIRED");
}

#[actix_web::test]
async fn the_mail_alone_does_not_take_the_owners_factor() {
    let app = TestApp::start().await;
    app.member(ADA).await;
    // a new device, of which a letter tells, and on it the second factor
    let mut ada = app.sign_in(ADA).await;
    let letter = app.letter_about(ADA, "/go/disown").await;
    app.clock.advance(time::Duration::minutes(1));
    ada.add_totp().await;
    assert_eq!(app.visitor().follow("/v1/auth/sessions/disown", &letter).await.status, 204);
    reset(&app).await;
    app.visitor().half_sign_in(ADA, NEW).await;
}

/// A new phone is a new device, of which a letter tells, and then a new authenticator.
#[actix_web::test]
async fn nor_does_it_when_the_owner_has_changed_the_factor() {
    let app = TestApp::start().await;
    let (old, _) = app.member(ADA).await.add_totp().await;
    app.clock.advance(time::Duration::minutes(5));
    let mut ada = app.visitor();
    let token = ada.half_sign_in(ADA, PASSWORD).await;
    assert_eq!(ada.show(&token, json!({ "code": old.code(&app) })).await.status, 200);
    let letter = app.letter_about(ADA, "/go/disown").await;
    assert_eq!(ada.delete("/v1/me/mfa/totp").await.code(), "MAILBOX_PROOF_REQUIRED");
    ada.agree_by_mail().await;
    let removed = ada.delete("/v1/me/mfa/totp").await;
    ada.renew(&removed, &removed.json());
    ada.add_totp().await;
    assert_eq!(app.visitor().follow("/v1/auth/sessions/disown", &letter).await.status, 204);
    reset(&app).await;
    app.visitor().half_sign_in(ADA, NEW).await;
}

/// Whatever the thief does next, the letter about their device gets the owner back in.
#[actix_web::test]
async fn the_letter_about_the_thiefs_device_outlives_what_the_thief_does_next() {
    for next in ["password", "address", "another device", "the owner's reset"] {
        let app = TestApp::start().await;
        let (authenticator, _) = app.member(ADA).await.add_totp().await;
        app.clock.advance(time::Duration::minutes(5));
        let mut thief = app.visitor();
        let token = thief.half_sign_in(ADA, PASSWORD).await;
        assert_eq!(thief.show(&token, json!({ "code": authenticator.code(&app) })).await.status, 200);
        let letter = app.letter_about(ADA, "/go/disown").await;
        let mut device = Device::at(PUBLIC_URL);
        assert_eq!(thief.add_passkey(&mut device, "Mine").await.status, 201);
        assert_eq!(thief.delete("/v1/me/mfa/totp").await.code(), "MAILBOX_PROOF_REQUIRED", "the owner's stays");
        match next {
            "password" => {
                let body = json!({ "current_password": PASSWORD, "password": "mallory has chosen this one" });
                assert_eq!(thief.post("/v1/me/password", body).await.status, 200);
            }
            "address" => {
                thief.post("/v1/me/email", json!({ "email": "thief@evil.example" })).await;
                let confirm = app.letter_about("thief@evil.example", "/go/email").await;
                assert_eq!(thief.follow("/v1/auth/email/confirm", &confirm).await.status, 204);
                let undo = app.letter_about(ADA, "/go/undo").await;
                assert_eq!(app.visitor().follow("/v1/auth/email/undo", &undo).await.status, 204);
            }
            "another device" => assert_eq!(app.visitor().passkey_sign_in(&mut device).await.status, 200),
            _ => {
                app.visitor().post("/v1/auth/password/forgot", json!({ "email": ADA })).await;
                reset(&app).await;
            }
        }
        assert_eq!(app.visitor().follow("/v1/auth/sessions/disown", &letter).await.status, 204, "{next}");
        let begun = app.visitor().passkey_options().await;
        let shown = app.visitor().show_passkey(&begun, device.get(&begun["options"])).await;
        assert_eq!(shown.code(), "INVALID_CREDENTIALS", "{next}: the thief's passkey is gone");
        app.clock.advance(time::Duration::seconds(90));
        let letters = app.wait_for("the last letter", async || app.letters_to(ADA).into_iter().rfind(|letter| letter.text.contains("/go/reset")));
        let token = letters.await.token;
        let again = "copper lamps over a quiet quay";
        let mut ada = app.visitor();
        let set = ada.post("/v1/auth/password/reset", json!({ "token": token, "password": again })).await;
        assert_eq!(set.status, 204, "{next}: {}", set.text);
        let half = ada.half_sign_in(ADA, again).await;
        assert_eq!(ada.show(&half, json!({ "code": authenticator.code(&app) })).await.status, 200, "{next}: the owner is in with their own");
    }
}

#[actix_web::test]
async fn a_thief_who_phished_a_code_does_not_keep_a_factor_of_their_own() {
    let app = TestApp::start().await;
    let mut ada = app.member(ADA).await;
    let (authenticator, codes) = ada.add_totp().await;
    app.clock.advance(time::Duration::minutes(5));
    let mut thief = app.visitor();
    let token = thief.half_sign_in(ADA, PASSWORD).await;
    assert_eq!(thief.show(&token, json!({ "code": authenticator.code(&app) })).await.status, 200);
    let letter = app.letter_about(ADA, "/go/disown").await;
    let stolen = thief.post("/v1/me/mfa/recovery-codes", json!({})).await;
    let stolen = stolen.json()["recovery_codes"][0].as_str().unwrap().to_owned();
    assert_eq!(app.visitor().follow("/v1/auth/sessions/disown", &letter).await.status, 204);
    assert_eq!(thief.get("/v1/me").await.status, 401);
    reset(&app).await;
    app.clock.advance(time::Duration::seconds(60));
    for (shown, is_good) in [
        (json!({ "recovery_code": stolen }), false),
        (json!({ "recovery_code": codes[0] }), false),
        (json!({ "code": authenticator.code(&app) }), true),
    ] {
        let mut visitor = app.visitor();
        let token = visitor.half_sign_in(ADA, NEW).await;
        assert_eq!(visitor.show(&token, shown).await.status == 200, is_good);
    }
}
