//! Somebody uses the service to fill a stranger's mailbox, with an account or without.

use crate::support::app::TestApp;
use serde_json::json;

#[actix_web::test]
async fn a_mailbox_gets_few_letters_an_hour_whether_known_or_not() {
    let app =
        TestApp::with(&[("PORTCULLIS_LETTER_QUOTA", "3"), ("PORTCULLIS_LETTER_ADDRESS_QUOTA", "2"), ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1/32")])
            .await;
    app.create_account("known@example.org").await;
    app.clock.advance(time::Duration::hours(2));
    let visitor = app.visitor();
    for email in ["known@example.org", "unknown@example.org"] {
        let spellings = [email.to_owned(), email.to_uppercase(), email.replace("example", "EXAMPLE"), email.replace('@', "+tag@")];
        let calls = (0..20).map(|n| visitor.post_from(&format!("203.0.113.{}", n % 5), "/v1/auth/register", json!({ "email": spellings[n % 4] })));
        let answers = futures_util::future::join_all(calls).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 202).count(), 3, "in parallel and in every spelling");
        let refused = answers.iter().find(|answer| answer.status != 202).unwrap();
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (429, "RATE_LIMITED"));
        // the window slides by slices of four minutes
        assert!((3500..=3841).contains(&refused.header("retry-after").parse::<u64>().unwrap()));
    }
    app.all_letters_sent().await;
    let to_both = |name: &str| app.letters_to(&format!("{name}@example.org")).len() + app.letters_to(&format!("{name}+tag@example.org")).len();
    assert_eq!((to_both("known"), to_both("unknown")), (4, 3));
    app.clock.advance(time::Duration::minutes(64));
    assert_eq!(visitor.post("/v1/auth/register", json!({ "email": "unknown@example.org" })).await.status, 202, "a new hour");
}

/// A day's letters, one an hour so that no shorter quota is met; then the day is over, and with it the count.
#[actix_web::test]
async fn a_day_has_an_end_too_for_a_mailbox_and_for_an_address() {
    let app = TestApp::with(&[
        ("PORTCULLIS_LETTER_DAY_QUOTA", "3"),
        ("PORTCULLIS_LETTER_ADDRESS_DAY_QUOTA", "2"),
        ("PORTCULLIS_LETTER_NETWORK_DAY_QUOTA", "3"),
        ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1/32"),
    ])
    .await;
    let ask_from =
        |address: &str, name: &str| app.visitor().post_from(address, "/v1/auth/password/forgot", json!({ "email": format!("{name}@example.org") }));
    let ask = |name: &str| ask_from("203.0.113.1", name);
    for n in 0..5 {
        assert_eq!(ask_from(&format!("203.0.113.{n}"), "victim").await.status == 202, n < 3, "{n}");
        app.clock.advance(time::Duration::hours(2));
    }
    let refused = ask("victim").await;
    let wait: i64 = refused.header("retry-after").parse().unwrap();
    assert!((13 * 3600..=14 * 3600 + 1).contains(&wait), "until the day ends that the first letter began: {wait}");
    assert!(refused.header("ratelimit").starts_with("\"letters_a_day\";r=0;t="), "{}", refused.header("ratelimit"));
    let others = ["one", "two", "three"];
    for (n, name) in others.into_iter().enumerate() {
        assert_eq!(ask(name).await.status == 202, n < 2, "the address has two left: {n}");
    }
    app.clock.advance(time::Duration::seconds(wait));
    assert_eq!(ask_from("203.0.113.9", "victim").await.status, 202, "whoever waits as told gets through");
}

#[actix_web::test]
async fn every_call_that_causes_letters_draws_on_the_same_quota_and_waits_in_between() {
    let app = TestApp::with(&[
        ("PORTCULLIS_LETTER_QUOTA", "3"),
        ("PORTCULLIS_LETTER_ADDRESS_QUOTA", "2"),
        ("PORTCULLIS_LETTER_COOLDOWN_SECONDS", "60"),
        ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1/32"),
    ])
    .await;
    let root = app.planted_administrator().await;
    let victim = json!({ "email": "victim@example.org" });
    let change = json!({ "email": "victim@example.org" });
    assert_eq!(app.visitor().post("/v1/auth/register", victim.clone()).await.status, 202);
    for _ in 0..5 {
        let soon = app.visitor().post("/v1/auth/password/forgot", victim.clone()).await;
        assert_eq!(soon.status, 429, "too soon");
        assert!((1..=60).contains(&soon.header("retry-after").parse::<u64>().unwrap()));
    }
    app.clock.advance(time::Duration::minutes(1));
    let elsewhere = app.visitor().post_from("203.0.113.1", "/v1/auth/password/forgot", victim.clone()).await;
    assert_eq!(elsewhere.status, 202, "impatience used nothing up");
    app.clock.advance(time::Duration::minutes(1));
    assert_eq!(root.post("/v1/me/email", change).await.status, 202);
    app.clock.advance(time::Duration::minutes(1));
    assert_eq!(root.post("/v1/invitations", victim).await.status, 429, "an administrator's too");
    app.all_letters_sent().await;
    assert_eq!(app.letters_to("victim@example.org").len(), 3);
}

#[actix_web::test]
async fn notices_to_an_owner_end_somewhere_and_hold_nothing_up() {
    let app = TestApp::with(&[("PORTCULLIS_NOTICE_QUOTA", "5")]).await;
    app.member("ada@example.org").await;
    for _ in 0..9 {
        app.sign_in("ada@example.org").await;
    }
    app.all_letters_sent().await;
    let notices = app.letters_to("ada@example.org").iter().filter(|letter| letter.text.contains("/go/disown")).count();
    assert_eq!(notices, 4, "the first device's sign-in counted, too");
}

#[actix_web::test]
async fn one_network_causes_few_letters_whoever_gets_them() {
    let app = TestApp::with(&[("PORTCULLIS_LETTER_NETWORK_QUOTA", "4")]).await;
    let visitor = app.visitor();
    let calls = (0..12).map(|n| visitor.post("/v1/auth/register", json!({ "email": format!("victim{n}@example.org") })));
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 202).count(), 4);
}

/// Whoever is in the account buries the letter that tells of it under others.
#[actix_web::test]
async fn changes_of_second_factors_are_counted() {
    let app = TestApp::with(&[("PORTCULLIS_FACTOR_CHANGE_QUOTA", "4")]).await;
    let mut ada = app.member("ada@example.org").await;
    ada.add_totp().await;
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(ada.post("/v1/me/mfa/recovery-codes", json!({})).await.status.as_u16());
    }
    assert_eq!(answers, [201, 201, 201, 429, 429, 429]);
    assert_eq!(ada.delete("/v1/me/mfa/totp").await.status, 429);
}
