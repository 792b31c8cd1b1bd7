//! The throttle as a weapon: wrong passwords by the hundred keep the owner out. A device that the owner used before has a quota of
//! its own; after a hundred in a row an unknown one needs a mailed link, whatever it sends.

use crate::support::app::{Answer, PASSWORD, TestApp};
use reqwest::Method;
use serde_json::json;

#[actix_web::test]
async fn the_owners_known_device_gets_in_while_an_attack_runs() {
    let app = TestApp::with(&[("PORTCULLIS_LOGIN_ACCOUNT_QUOTA", "5"), ("PORTCULLIS_LOGIN_DEVICE_QUOTA", "3")]).await;
    let mut ada = app.member("ada@example.org").await;
    let guesses = futures_util::future::join_all((0..10).map(|n| {
        let mut stranger = app.visitor();
        async move { stranger.sign_in("ada@example.org", &format!("guess number {n}")).await }
    }))
    .await;
    assert_eq!(guesses.iter().filter(|answer| answer.status == 429).count(), 5);
    assert_eq!(app.visitor().sign_in("ada@example.org", PASSWORD).await.status, 429, "an unknown device, even with the right password");
    assert_eq!(ada.sign_in("ada@example.org", PASSWORD).await.status, 200, "the owner's own");

    // the cookie is no licence to guess, and is worth nothing for another address or altered
    for n in 0..3 {
        assert_eq!(ada.sign_in("ada@example.org", &format!("guess number {n}")).await.status, 401);
    }
    assert_eq!(ada.sign_in("ada@example.org", PASSWORD).await.status, 429);
    let mut forger = app.visitor();
    let device = ada.device.clone().unwrap();
    for forged in [device.replacen(".1.", ".2.", 1), format!("{device}x"), "__Host-portcullis-device=x".into(), device.replace('.', "")] {
        forger.device = Some(forged.clone());
        assert_eq!(forger.sign_in("ada@example.org", PASSWORD).await.status, 429, "{forged}");
    }
    app.create_account("bob@example.org").await;
    for n in 0..5 {
        app.visitor().sign_in("bob@example.org", &format!("guess number {n}")).await;
    }
    assert_eq!(ada.sign_in("bob@example.org", PASSWORD).await.status, 429, "bob does not know ada's device");
    app.clock.advance(time::Duration::days(180));
    assert_eq!(ada.sign_in("ada@example.org", PASSWORD).await.status, 200, "a new window; the device is forgotten by now");
}

#[actix_web::test]
async fn after_too_many_wrong_passwords_in_a_row_an_unknown_device_needs_a_letter() {
    let app = TestApp::with(&[
        ("PORTCULLIS_LOGIN_FAILURES", "4"),
        ("PORTCULLIS_LOGIN_ACCOUNT_QUOTA", "10000"),
        ("PORTCULLIS_LETTER_COOLDOWN_SECONDS", "60"),
    ])
    .await;
    let mut ada = app.member("ada@example.org").await;
    app.clock.advance(time::Duration::minutes(2));
    for n in 0..4 {
        assert_eq!(app.visitor().sign_in("ada@example.org", &format!("guess number {n}")).await.status, 401);
    }
    let mut stranger = app.visitor();
    let wrong = stranger.sign_in("ada@example.org", "one more guess, wrong").await;
    app.all_letters_sent().await;
    assert!(app.letters_to("ada@example.org").iter().all(|letter| !letter.text.contains("/go/trust")), "a wrong one makes no letter");
    let right = stranger.sign_in("ada@example.org", PASSWORD).await;
    assert_eq!((right.status.as_u16(), right.told()), (401, wrong.told()), "the guesser does not learn that it was right");
    let letter = app.letter_about("ada@example.org", "/go/trust").await;
    let probe = app.visitor().post("/v1/auth/password/forgot", json!({ "email": "ada@example.org" })).await;
    assert_eq!(probe.status, 202, "nor from what the letter used up");

    let trusted = stranger.post("/v1/auth/devices/trust", json!({ "token": letter.token })).await;
    assert_eq!(trusted.status, 204, "{}", trusted.text);
    assert!(trusted.cookie().is_none(), "a link signs nobody in");
    stranger.device = trusted.cookie_named("__Host-portcullis-device");
    assert_eq!(stranger.sign_in("ada@example.org", PASSWORD).await.status, 200);
    assert_eq!(app.visitor().sign_in("ada@example.org", PASSWORD).await.status, 200, "the row of failures has ended");

    for n in 0..5 {
        app.visitor().sign_in("ada@example.org", &format!("guess number {n}")).await;
    }
    assert_eq!(ada.sign_in("ada@example.org", PASSWORD).await.status, 200, "a known device needs no letter");
    let unknown = |n: usize| {
        let body = json!({ "email": "nobody@example.org", "password": format!("guess number {n}") });
        Answer::of(app.visitor().request(Method::POST, "/v1/auth/login").json(&body))
    };
    for n in 0..6 {
        assert_eq!(unknown(n).await.told(), wrong.told(), "an address without an account looks the same all the way");
    }
}

/// One address is over its own limits, and goes on: what is refused there must not count against the victim.
#[actix_web::test]
async fn what_is_refused_to_the_attacker_uses_nothing_of_the_victims_up() {
    let app = TestApp::with(&[
        ("PORTCULLIS_LOGIN_QUOTA", "3"),
        ("PORTCULLIS_LOGIN_ACCOUNT_QUOTA", "10"),
        ("PORTCULLIS_LOGIN_FAILURES", "10"),
        ("PORTCULLIS_LETTER_NETWORK_QUOTA", "2"),
        ("PORTCULLIS_LETTER_QUOTA", "3"),
        ("PORTCULLIS_LETTER_ADDRESS_QUOTA", "2"),
        ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1/32"),
    ])
    .await;
    let from = |address: &str, path: &str, body: serde_json::Value| app.visitor().post_from(address, path, body);
    app.create_account("ada@example.org").await;
    let guess = |n: usize| json!({ "email": "ada@example.org", "password": format!("guess number {n}") });
    let guesses = futures_util::future::join_all((0..40).map(|n| from("203.0.113.1", "/v1/auth/login", guess(n)))).await;
    assert_eq!(guesses.iter().filter(|answer| answer.status == 401).count(), 3);
    let right = json!({ "email": "ada@example.org", "password": PASSWORD });
    assert_eq!(from("198.51.100.7", "/v1/auth/login", right).await.status, 200, "the owner, elsewhere, with no cookie");

    for n in 0..12 {
        let email = if n < 2 { format!("other{n}@example.org") } else { "bob@example.org".into() };
        let answer = from("203.0.113.1", "/v1/auth/password/forgot", json!({ "email": email })).await;
        assert_eq!(answer.status == 202, n < 2, "{n}");
    }
    let owner = from("198.51.100.7", "/v1/auth/password/forgot", json!({ "email": "bob@example.org" })).await;
    assert_eq!(owner.status, 202);
}

/// The attacker asks for reset letters in the owner's name, and sends links and codes that are wrong, as often as is let through. The
/// owner, elsewhere, gets a letter and sets a new password by it.
#[actix_web::test]
async fn an_attack_on_the_reset_keeps_nobody_elsewhere_from_it() {
    let app = TestApp::with(&[
        ("PORTCULLIS_LETTER_QUOTA", "5"),
        ("PORTCULLIS_LETTER_ADDRESS_QUOTA", "3"),
        ("PORTCULLIS_WRONG_PROOF_QUOTA", "10"),
        ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1/32"),
    ])
    .await;
    app.create_account("ada@example.org").await;
    app.clock.advance(time::Duration::hours(2));
    let from = |address: &str, path: &str, body: serde_json::Value| app.visitor().post_from(address, path, body);
    let forgot = json!({ "email": "ada@example.org" });
    let asked = futures_util::future::join_all((0..20).map(|_| from("203.0.113.1", "/v1/auth/password/forgot", forgot.clone()))).await;
    assert_eq!(asked.iter().filter(|answer| answer.status == 202).count(), 3);
    let wrong = |n: usize| json!({ "token": format!("{n:043}"), "password": "slow copper rain on wide steps" });
    let guesses = futures_util::future::join_all((0..30).map(|n| from("203.0.113.1", "/v1/auth/password/reset", wrong(n)))).await;
    assert_eq!(guesses.iter().filter(|answer| answer.code() == "INVALID_PROOF").count(), 10);
    assert_eq!(guesses.iter().filter(|answer| answer.status == 429).count(), 20);

    let own = from("198.51.100.7", "/v1/auth/password/forgot", forgot).await;
    assert_eq!(own.status, 202, "{}", own.text);
    app.all_letters_sent().await;
    let letter = app.letter_about("ada@example.org", "/go/reset").await;
    let new = json!({ "token": letter.token, "password": "slow copper rain on wide steps" });
    assert_eq!(from("198.51.100.7", "/v1/auth/password/reset", new).await.status, 204);
}

/// One address asks for letters in the owner's name, as often as is let through, for a day. The owner elsewhere still gets one.
#[actix_web::test]
async fn one_address_does_not_use_up_a_mailbox_s_day_of_letters() {
    let app = TestApp::with(&[
        ("PORTCULLIS_LETTER_QUOTA", "5"),
        ("PORTCULLIS_LETTER_ADDRESS_QUOTA", "3"),
        ("PORTCULLIS_LETTER_DAY_QUOTA", "8"),
        ("PORTCULLIS_LETTER_ADDRESS_DAY_QUOTA", "6"),
        ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1/32"),
    ])
    .await;
    let forgot = |address: &str| app.visitor().post_from(address, "/v1/auth/password/forgot", json!({ "email": "ada@example.org" }));
    let mut caused = 0;
    for _ in 0..23 {
        for _ in 0..4 {
            caused += usize::from(forgot("203.0.113.1").await.status == 202);
        }
        app.clock.advance(time::Duration::hours(1));
    }
    assert_eq!(caused, 6);
    assert_eq!(forgot("198.51.100.7").await.status, 202);
    app.clock.advance(time::Duration::hours(1));
    assert_eq!(forgot("203.0.113.1").await.status, 202, "a new day");
}

/// Guesses from everywhere have used up what unknown devices may try. The owner, at one of those, sets a new password by letter: that
/// makes it known.
#[actix_web::test]
async fn an_attack_on_the_account_ends_for_its_owner_with_a_new_password() {
    let app = TestApp::with(&[("PORTCULLIS_LOGIN_ACCOUNT_QUOTA", "5")]).await;
    app.create_account("ada@example.org").await;
    for n in 0..5 {
        assert_eq!(app.visitor().sign_in("ada@example.org", &format!("guess number {n}")).await.status, 401);
    }
    let mut owner = app.visitor();
    assert_eq!(owner.sign_in("ada@example.org", PASSWORD).await.status, 429);
    assert_eq!(owner.post("/v1/auth/password/forgot", json!({ "email": "ada@example.org" })).await.status, 202);
    let letter = app.letter_about("ada@example.org", "/go/reset").await;
    let new = "slow copper rain on wide steps";
    let set = owner.post("/v1/auth/password/reset", json!({ "token": letter.token, "password": new })).await;
    assert_eq!(set.status, 204, "{}", set.text);
    assert!(set.cookie().is_none(), "nobody is signed in by it");
    owner.device = set.cookie_named("__Host-portcullis-device");
    assert_eq!(app.visitor().sign_in("ada@example.org", new).await.status, 429, "the attack goes on");
    assert_eq!(owner.sign_in("ada@example.org", new).await.status, 200);
}

/// An address changes hands: whoever had it before is a stranger to the account that comes after.
#[actix_web::test]
async fn a_device_known_to_an_address_is_a_stranger_to_its_next_owner() {
    let app = TestApp::with(&[("PORTCULLIS_LOGIN_FAILURES", "1")]).await;
    let mut former = app.member("office@example.org").await;
    former.post("/v1/me/email", json!({ "email": "private@example.org" })).await;
    let confirm = app.letter_about("private@example.org", "/go/email").await;
    assert_eq!(former.follow("/v1/auth/email/confirm", &confirm).await.status, 204);
    app.create_account("office@example.org").await;
    app.visitor().sign_in("office@example.org", "one wrong guess").await;
    app.visitor().sign_in("office@example.org", "another wrong guess").await;
    assert_eq!(former.sign_in("office@example.org", PASSWORD).await.status, 401, "even with the right password");
}
