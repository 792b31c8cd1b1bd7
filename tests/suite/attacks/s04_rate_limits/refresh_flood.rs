//! Refreshing over and over: each time writes a row. And refresh tokens that lead nowhere, by the thousand.

use crate::support::app::TestApp;
use serde_json::json;

#[actix_web::test]
async fn a_session_and_its_owner_are_refreshed_a_few_times_only() {
    let app = TestApp::with(&[("PORTCULLIS_REFRESH_QUOTA", "5"), ("PORTCULLIS_REFRESH_PERSON_QUOTA", "8")]).await;
    let (mallory, mut token) = app.token_member("mallory@example.org").await;
    for n in 0..5 {
        let answer = mallory.exchange(&token).await;
        assert_eq!(answer.status, 200, "{n}: {}", answer.text);
        token = answer.json()["refresh_token"].as_str().unwrap().to_owned();
    }
    let rows = app.count("SELECT count(*) FROM refresh_tokens").await;
    let refused = futures_util::future::join_all((0..20).map(|_| mallory.exchange(&token))).await;
    assert!(refused.iter().all(|answer| answer.status == 429 && answer.header("ratelimit").starts_with("\"refresh_of_session\"")));
    assert_eq!(app.count("SELECT count(*) FROM refresh_tokens").await, rows, "no row was written");

    // more sessions do not help
    let (_, mut other) = app.token_sign_in("mallory@example.org").await;
    for n in 0..5 {
        let answer = mallory.exchange(&other).await;
        assert_eq!(answer.status == 200, n < 3, "{n}: {}", answer.text);
        if answer.status == 200 {
            other = answer.json()["refresh_token"].as_str().unwrap().to_owned();
        }
    }
    app.clock.advance(time::Duration::minutes(16));
    assert_eq!(mallory.exchange(&token).await.status, 200, "the token has waited unspent");
}

#[actix_web::test]
async fn worthless_tokens_end_and_nobodys_refresh_ends_with_them() {
    let app = TestApp::with(&[("PORTCULLIS_REFRESH_NETWORK_QUOTA", "6"), ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1/32")]).await;
    let (_, token) = app.token_member("ada@example.org").await;
    let exchange = |address: &str, token: &str| app.visitor().post_from(address, "/v1/auth/token/refresh", json!({ "refresh_token": token }));
    let guesses = futures_util::future::join_all((0..20).map(|n| exchange("203.0.113.1", &format!("{n:043}")))).await;
    assert_eq!(guesses.iter().filter(|answer| answer.status == 401).count(), 6);
    assert_eq!(guesses.iter().filter(|answer| answer.status == 429).count(), 14);
    let next = exchange("203.0.113.1", &token).await;
    assert_eq!(next.status, 200, "a good token gets through, even from there: {}", next.text);
    assert_eq!(exchange("198.51.100.7", &"x".repeat(43)).await.status, 401, "another address has a quota of its own");
}
