//! Guessing around the end of a window: all that a window allows just before its end, and as much again just after. A fixed window lets
//! twice its number through; a sliding one does not.

use crate::support::{
    app::{Answer, TestApp},
    counts::count_alike,
};
use portcullis::edge::rate_limit::{Count, Quota, spend};
use reqwest::Method;
use serde_json::json;
use time::Duration;

#[actix_web::test]
async fn a_burst_on_each_side_of_a_windows_end_gets_one_windows_guesses() {
    let app = TestApp::with(&[("PORTCULLIS_LOGIN_QUOTA", "10"), ("PORTCULLIS_HASH_QUEUE", "100")]).await;
    let burst = async |n: usize| {
        let guesses = (0..20).map(|k| {
            let body = json!({ "email": "ada@example.org", "password": format!("guess {n} {k}") });
            Answer::of(app.visitor().request(Method::POST, "/v1/auth/login").json(&body))
        });
        futures_util::future::join_all(guesses).await.iter().filter(|answer| answer.status == 401).count()
    };
    // one guess begins what would be a fixed window of 15 minutes; its end comes between the two bursts
    app.visitor().sign_in("ada@example.org", "an early guess").await;
    app.clock.advance(Duration::minutes(14) + Duration::seconds(50));
    assert_eq!(burst(1).await, 9);
    let mut passed = 0;
    for n in 0..7 {
        app.clock.advance(Duration::seconds(70));
        passed += burst(n + 2).await;
    }
    assert_eq!(passed, 1, "the early guess made room for one, the nine of the first burst for none yet");
    app.clock.advance(Duration::minutes(9));
    assert!(burst(9).await >= 9, "and then they do");
}

/// Letters are counted in fixed windows as well: what that lets through is known, and bounded by the sliding hour beside it.
#[actix_web::test]
async fn a_fixed_window_lets_two_windows_through_at_its_end_which_is_why_guesses_are_not_counted_so() {
    let app = TestApp::with(&[("PORTCULLIS_INVITATION_QUOTA", "5")]).await;
    let count = [Count::of(&app.state, Quota::Invitations, &["somebody"])];
    let burst = async || {
        let all = futures_util::future::join_all((0..9).map(|_| spend(&app.state, &count))).await;
        all.into_iter().filter(Result::is_ok).count()
    };
    assert_eq!(burst().await, 5);
    app.clock.advance(Duration::minutes(59));
    assert_eq!(burst().await, 0);
    app.clock.advance(Duration::minutes(1));
    assert_eq!(burst().await, 5, "a new window");
}

/// Postgres and memory follow the same rules to the millisecond: a long walk, the same answers and the same times to wait.
#[actix_web::test]
async fn postgres_counts_as_memory_does() {
    let numbers = [("PORTCULLIS_LOGIN_QUOTA", "4"), ("PORTCULLIS_INVITATION_QUOTA", "3"), ("PORTCULLIS_NODES", "1")];
    let app = TestApp::with(&numbers).await;
    // nothing listens there: what is counted is counted in memory
    let memory = app.node_with(&[&numbers[..], &[("REDIS_URL", "redis://127.0.0.1:1")]].concat()).await;
    count_alike(&app, &memory).await;
}
