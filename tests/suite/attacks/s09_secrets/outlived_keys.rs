//! Somebody got hold of a key of the keyring, or of what one made. After its overlap it opens nothing; revoked, it opens nothing at once,
//! on every node, and what falls with it falls on the safe side.

use crate::support::{
    app::{PASSWORD, PUBLIC_URL, TestApp},
    device::Device,
    machines::wanted,
};
use portcullis::{
    credentials::password::Password,
    platform::{
        crypto,
        keyring::{KeyBytes, KeyEncryption, Keyring, KeyringError, Purpose, rows, signing::Algorithm, store, wrapping},
    },
};
use serde_json::json;
use time::Duration;

const ADA: &str = "ada@example.org";

async fn rotate(app: &TestApp, purpose: Purpose) {
    app.database.rotate(purpose).await;
    app.state.keyring.reload(&app.database.pool).await.unwrap();
}

async fn clear(app: &TestApp, purpose: Purpose) -> u64 {
    let mut transaction = app.database.pool.begin().await.unwrap();
    let cleared = rows::clear_revoked(&mut transaction, purpose, app.clock.now()).await.unwrap();
    transaction.commit().await.unwrap();
    cleared
}

/// Waits until these nodes have heard.
async fn heard(nodes: [&TestApp; 2], purpose: Purpose, version: i32) {
    for node in nodes {
        node.wait_for("the news", async || (node.state.keyring.active(purpose).0 >= version).then_some(())).await;
    }
}

#[actix_web::test]
async fn a_cookie_goes_on_under_the_next_key_and_ends_with_the_overlap() {
    let app = TestApp::start().await;
    let other = app.node(None).await;
    let ada = app.member(ADA).await;
    rotate(&app, Purpose::SessionCookie).await;
    heard([&app, &other], Purpose::SessionCookie, 2).await;
    let later = app.sign_in(ADA).await;
    for node in [&app, &other] {
        assert_eq!(ada.at(node).get("/v1/me").await.status, 200, "the old cookie");
        assert_eq!(later.at(node).get("/v1/me").await.status, 200, "the new one");
    }
    // what renews it makes it one of the new key
    let mut renewed = ada.clone();
    assert_eq!(renewed.step_up(json!({ "password": PASSWORD })).await.status, 200);
    let third = app.sign_in(ADA).await;
    assert_eq!(store::retire(&mut app.database.pool.acquire().await.unwrap(), Purpose::SessionCookie, app.clock.now()).await.unwrap(), 1);
    for node in [&app, &other] {
        node.wait_for("the end of the overlap", async || (ada.at(node).get("/v1/me").await.status == 401).then_some(())).await;
        for fresh in [&renewed, &third, &later] {
            assert_eq!(fresh.at(node).get("/v1/me").await.status, 200);
        }
    }
}

#[actix_web::test]
async fn a_cookie_of_no_key_is_none() {
    let app = TestApp::start().await;
    let ada = app.member(ADA).await;
    rotate(&app, Purpose::SessionCookie).await;
    let mut altered = ada.clone();
    altered.cookie = ada.cookie.as_ref().map(|cookie| cookie.replacen(&cookie[20..24], "AAAA", 1));
    assert_eq!(altered.get("/v1/me").await.status, 401);
    assert_eq!(ada.get("/v1/me").await.status, 200);
}

#[actix_web::test]
async fn a_cursor_lasts_a_day_beyond_its_key() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    app.member(ADA).await;
    let page = root.get("/v1/users?limit=1").await.json();
    let path = format!("/v1/users?limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
    rotate(&app, Purpose::Cursor).await;
    assert_eq!(root.get(&path).await.status, 200);
    app.clock.advance(Duration::DAY - Duration::SECOND);
    assert_eq!(app.sign_in("root@example.org").await.get(&path).await.status, 200);
    app.clock.advance(Duration::SECOND);
    let answer = app.sign_in("root@example.org").await.get(&path).await;
    assert_eq!((answer.status.as_u16(), answer.json()["error"]["fields"][0]["field"].as_str()), (422, Some("cursor")));
}

#[actix_web::test]
async fn a_known_device_ends_with_the_overlap() {
    let app = TestApp::start().await;
    let ada = app.member(ADA).await;
    rotate(&app, Purpose::KnownDevice).await;
    let letters = async || {
        app.all_letters_sent().await;
        app.letters_to(ADA).iter().filter(|letter| letter.text.contains("/go/disown")).count()
    };
    let before = letters().await;
    let mut again = app.visitor();
    again.device = ada.device.clone();
    assert_eq!(again.sign_in(ADA, PASSWORD).await.status, 200);
    assert_eq!(letters().await, before, "known under the key of before");
    store::retire(&mut app.database.pool.acquire().await.unwrap(), Purpose::KnownDevice, app.clock.now()).await.unwrap();
    app.state.keyring.reload(&app.database.pool).await.unwrap();
    let mut again = app.visitor();
    again.device = ada.device.clone();
    assert_eq!(again.sign_in(ADA, PASSWORD).await.status, 200);
    assert_eq!(letters().await, before + 1, "not any more");
}

#[actix_web::test]
async fn what_sessions_keys_and_lists_hang_on_ends_at_once_on_every_node() {
    let app = TestApp::start().await;
    let other = app.node(None).await;
    let nodes = [&app, &other];
    let root = app.administrator().await;
    app.member(ADA).await;

    let machine = app.service_account(&root, &["administrator"], &["users:read"]).await.machine;
    app.database.revoke(Purpose::ApiKey).await;
    heard(nodes, Purpose::ApiKey, 3).await;
    for node in nodes {
        assert_eq!(node.holder(&machine.key).get("/v1/users").await.code(), "INVALID_TOKEN");
    }
    assert_eq!(clear(&app, Purpose::ApiKey).await, 1);
    assert_eq!(app.count("SELECT count(*) FROM api_keys WHERE revoked_at IS NULL").await, 0);

    let page = root.get("/v1/users?limit=1").await.json();
    let path = format!("/v1/users?limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(root.at(&other).get(&path).await.status, 200);
    app.database.revoke(Purpose::Cursor).await;
    heard(nodes, Purpose::Cursor, 3).await;
    for node in nodes {
        assert_eq!(root.at(node).get(&path).await.status, 422);
    }

    let half = app.visitor();
    for purpose in [Purpose::SessionCookie, Purpose::SessionState] {
        let ada = app.sign_in(ADA).await;
        let (tokens, _) = app.token_sign_in(ADA).await;
        other.database.revoke(purpose).await;
        heard(nodes, purpose, 3).await;
        for node in nodes {
            assert_eq!(ada.at(node).get("/v1/me").await.code(), "UNAUTHENTICATED", "{purpose:?}");
            assert_eq!(tokens.at(node).get("/v1/me").await.status, 200, "{purpose:?}");
        }
        app.clock.advance(Duration::SECOND);
        assert!(clear(&app, purpose).await > 0);
        let again = app.sign_in(ADA).await;
        assert_eq!(again.at(&other).get("/v1/me").await.status, 200, "a new one");
        assert_eq!(
            again.get("/v1/me/sessions").await.json()["items"].as_array().unwrap().iter().filter(|one| one["transport"] == "cookie").count(),
            1
        );
    }
    let (_, refresh) = app.token_sign_in(ADA).await;
    app.database.revoke(Purpose::RefreshToken).await;
    assert!(clear(&app, Purpose::RefreshToken).await > 0);
    assert_eq!(half.exchange(&refresh).await.code(), "INVALID_REFRESH_TOKEN");
}

#[actix_web::test]
async fn without_the_pepper_no_password_is_right_and_the_work_is_the_same() {
    let app = TestApp::start().await;
    let thief = app.member(ADA).await;
    app.database.revoke(Purpose::Pepper).await;
    heard([&app, &app], Purpose::Pepper, 3).await;
    for _ in 0..2 {
        let before = app.state.passwords.computed();
        assert_eq!(app.visitor().sign_in(ADA, PASSWORD).await.code(), "INVALID_CREDENTIALS");
        assert_eq!(app.state.passwords.computed() - before, 1, "as for an account that does not exist");
        // the second time without the hash
        clear(&app, Purpose::Pepper).await;
    }
    assert_eq!(app.count("SELECT count(*) FROM passwords").await, 0);
    app.wait_for("the end of the session", async || (thief.get("/v1/me").await.status == 401).then_some(())).await;
    assert_eq!(app.count("SELECT count(*) FROM sessions WHERE revoked_at IS NULL").await, 0);
    assert_eq!(app.visitor().post("/v1/auth/password/forgot", json!({ "email": ADA })).await.status, 202);
    let letter = app.letter_about(ADA, "/go/reset").await;
    let body = json!({ "token": letter.token, "password": "another wet tin moon" });
    assert_eq!(app.visitor().post("/v1/auth/password/reset", body).await.status, 204);
    assert_eq!(app.visitor().sign_in(ADA, "another wet tin moon").await.status, 200);
}

#[actix_web::test]
async fn a_session_that_was_left_open_sets_no_first_password() {
    let app = TestApp::start().await;
    let thief = app.member(ADA).await;
    sqlx::query("DELETE FROM passwords").execute(&app.database.pool).await.unwrap();
    let body = json!({ "password": "mallory has chosen this one" });
    assert_eq!(thief.post("/v1/me/password", body.clone()).await.code(), "MAILBOX_PROOF_REQUIRED");
    assert_eq!(app.count("SELECT count(*) FROM passwords").await, 0);
    // whoever reads the owner's letters is the owner
    thief.agree_by_mail().await;
    assert_eq!(thief.post("/v1/me/password", body).await.status, 200);
    assert_eq!(app.count("SELECT count(*) FROM passwords").await, 1);
}

#[actix_web::test]
async fn a_second_factor_that_nobody_can_show_is_still_asked_for() {
    let app = TestApp::start().await;
    let mut ada = app.member(ADA).await;
    let (authenticator, codes) = ada.add_totp().await;
    let mut device = Device::at(PUBLIC_URL);
    assert_eq!(ada.add_passkey(&mut device, "Laptop").await.status, 201);
    let waiting = app.visitor().half_sign_in(ADA, PASSWORD).await;
    for (purpose, version) in [(Purpose::TotpSeed, 3), (Purpose::Passkey, 3)] {
        app.database.revoke(purpose).await;
        heard([&app, &app], purpose, version).await;
        assert_eq!(clear(&app, purpose).await, 0, "they stay");
    }
    app.clock.advance(Duration::minutes(1));
    assert_eq!(app.visitor().show(&waiting, json!({ "code": authenticator.code(&app) })).await.code(), "INVALID_SECOND_FACTOR");
    assert_eq!(app.visitor().passkey_sign_in(&mut device).await.code(), "INVALID_CREDENTIALS");
    // with the password alone nobody gets in, with a recovery code the owner does, and sets both up anew
    let mut back = app.visitor();
    let token = back.half_sign_in(ADA, PASSWORD).await;
    assert_eq!(back.show(&token, json!({ "recovery_code": codes[0] })).await.status, 200);
    let passkeys = back.get("/v1/me/passkeys").await.json();
    assert_eq!(passkeys["items"].as_array().unwrap().len(), 1, "it is shown to be removed");
    back.agree_by_mail().await;
    let gone = back.delete(&format!("/v1/me/passkeys/{}", passkeys["items"][0]["id"].as_str().unwrap())).await;
    assert_eq!(gone.status, 200, "{}", gone.text);
    back.renew(&gone, &gone.json());
    let gone = back.delete("/v1/me/mfa/totp").await;
    assert_eq!(gone.status, 200, "{}", gone.text);
    back.renew(&gone, &gone.json());
    let (authenticator, _) = back.add_totp().await;
    app.clock.advance(Duration::minutes(1));
    let token = app.visitor().half_sign_in(ADA, PASSWORD).await;
    assert_eq!(app.visitor().show(&token, json!({ "code": authenticator.code(&app) })).await.status, 200);
}

#[actix_web::test]
async fn what_was_begun_typed_or_waits_in_the_outbox_is_over() {
    let app = TestApp::start().await;
    let (_, codes) = app.member(ADA).await.add_totp().await;
    let waiting = app.visitor().half_sign_in(ADA, PASSWORD).await;
    app.database.revoke(Purpose::Challenge).await;
    heard([&app, &app], Purpose::Challenge, 3).await;
    assert_eq!(app.visitor().show(&waiting, json!({ "recovery_code": codes[0] })).await.code(), "INVALID_CHALLENGE");

    app.database.revoke(Purpose::Lookup).await;
    heard([&app, &app], Purpose::Lookup, 3).await;
    let token = app.visitor().half_sign_in(ADA, PASSWORD).await;
    assert_eq!(app.visitor().show(&token, json!({ "recovery_code": codes[0] })).await.code(), "INVALID_SECOND_FACTOR");
    assert_eq!(clear(&app, Purpose::Lookup).await, 10, "so that their owner is told to make new ones");

    sqlx::query("INSERT INTO outbox (id, sealed, key_version, created_at, due_at) VALUES (gen_random_uuid(), '', 1, now(), 'infinity')")
        .execute(&app.database.pool)
        .await
        .unwrap();
    app.database.revoke(Purpose::Outbox).await;
    assert_eq!(clear(&app, Purpose::Outbox).await, 1);
    app.all_letters_sent().await;
}

#[actix_web::test]
async fn the_audit_log_goes_on_without_the_personal_part() {
    let app = TestApp::start().await;
    let ada = app.member(ADA).await;
    let addresses = async || {
        let events = ada.get("/v1/me/events?limit=100").await;
        assert_eq!(events.status, 200, "{}", events.text);
        events.json()["items"].as_array().unwrap().iter().filter(|event| event["address"].is_string()).count()
    };
    assert!(addresses().await > 0);
    assert_eq!(ada.post("/v1/me/export", json!({})).await.status, 202);
    app.run_jobs().await;
    app.database.revoke(Purpose::Subject).await;
    heard([&app, &app], Purpose::Subject, 3).await;
    assert_eq!(addresses().await, 0, "nobody reads what was");
    assert_eq!(ada.patch("/v1/me", json!({ "name": "Ada L" })).await.status, 200, "deeds have their events all the same");
    assert_eq!(addresses().await, 1, "with a new key");
    assert_eq!(clear(&app, Purpose::Subject).await, 1, "the export");
    app.database.revoke(Purpose::NobodysEvent).await;
    heard([&app, &app], Purpose::NobodysEvent, 3).await;
    app.visitor().sign_in("nobody@example.org", PASSWORD).await;
    let root = app.administrator().await;
    assert_eq!(root.get("/v1/audit/events?limit=100").await.status, 200);
    assert_eq!(root.post("/v1/me/api-keys", wanted(&["users:read"])).await.status, 201);
}

#[actix_web::test]
async fn the_audit_chain_goes_on_under_the_next_key() {
    use portcullis::audit::chain::{self, Memory, verify};
    let app = TestApp::start().await;
    app.member(ADA).await;
    let memory = Memory::default();
    let chained = async || chain::append(&app.database.pool, &app.state.keyring, &app.clock, &memory).await.unwrap();
    chained().await;
    rotate(&app, Purpose::AuditChain).await;
    app.sign_in(ADA).await;
    chained().await;
    let mut connection = app.database.pool.acquire().await.unwrap();
    let found = verify::verify(&mut connection, &app.state.keyring, None, |damage| panic!("{damage}")).await.unwrap();
    assert_eq!(found.damage, 0);
    let versions = app.count("SELECT count(DISTINCT key_version) FROM audit_heads").await;
    assert_eq!(versions, 2, "the first key verifies what it signed, the second one signs");
}

/// One node was forgotten when the key-encryption key was replaced. What it made under keys that are gone would be lost, and what it sealed
/// under the old key-encryption key would open for the thief only.
#[actix_web::test]
async fn a_node_that_was_left_behind_makes_nothing_that_would_be_lost() {
    let app = TestApp::start().await;
    let ada = app.member(ADA).await;
    app.member("bob@example.org").await.add_totp().await;
    app.all_letters_sent().await;
    let new = KeyBytes::new(crypto::random());
    let both = KeyEncryption::new(new.clone(), Some(app.database.key_encryption_key.clone()));
    let rolled = Keyring::open(&app.database.pool, both, Algorithm::EdDsa, app.clock.now()).await.unwrap();
    wrapping::reencrypt(&app.database.pool, &rolled, 100, |_| {}).await.unwrap();
    for _ in 0..2 {
        app.database.rotate_by(&rolled, Purpose::TotpSeed).await;
    }
    // the one that is waited for comes last
    for purpose in [Purpose::Pepper, Purpose::Outbox] {
        app.database.revoke_by(&rolled, purpose).await;
    }
    app.wait_for("the news", async || app.state.keyring.making(Purpose::Outbox).is_err().then_some(())).await;
    for purpose in [Purpose::Outbox, Purpose::Pepper, Purpose::TotpSeed] {
        assert!(app.state.keyring.making(purpose).is_err() && app.state.keyring.seal(purpose, b"", b"").is_err(), "{purpose:?}");
    }
    let password = Password::new("a moon of wet tin and gravel");
    assert!(app.state.passwords.create(&password, Vec::new()).await.is_err(), "a password that would be right nowhere");

    let asked = app.visitor().post("/v1/auth/password/forgot", json!({ "email": ADA })).await;
    assert!(asked.status == 202 || asked.status.is_server_error(), "{}", asked.text);
    assert!(ada.post("/v1/me/email", json!({ "email": "ada@example.net" })).await.status.is_server_error());
    assert_eq!(app.count("SELECT count(*) FROM outbox").await, 0, "no letter that nobody could open");

    // nor does its schedule change a key or a row
    let keys = app.count("SELECT count(*) FROM keyring").await;
    app.clock.advance(Duration::days(100));
    let walk = rows::reseal(&app.database.pool, &app.state.keyring, Purpose::TotpSeed, (1, 100), |_| {}).await;
    assert!(walk.is_err(), "{walk:?}");
    let mut transaction = app.database.pool.begin().await.unwrap();
    let fresh =
        store::keep_fresh(&mut transaction, &app.state.keyring, Purpose::SessionCookie, Algorithm::EdDsa, Duration::DAY, app.clock.now()).await;
    assert!(matches!(fresh, Err(KeyringError::LeftBehind { .. })), "{fresh:?}");
    drop(transaction);
    app.run_jobs().await;
    assert_eq!(app.count("SELECT count(*) FROM keyring").await, keys);
    assert_eq!(app.count("SELECT count(*) FROM totp WHERE seed_key_version = 1").await, 1);
    Keyring::open(&app.database.pool, &new, Algorithm::EdDsa, app.clock.now()).await.unwrap();

    for _ in 0..2 {
        app.database.rotate_by(&rolled, Purpose::AuditChain).await;
        app.database.rotate_by(&rolled, Purpose::TokenSigning).await;
    }
    app.state.keyring.reload(&app.database.pool).await.unwrap();
    assert!(app.state.keyring.attest(Purpose::AuditChain, b"head").is_err() && app.state.keyring.signing_key().is_err());
}
