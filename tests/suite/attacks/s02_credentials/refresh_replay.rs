//! The attacker has a copy of a refresh token and uses it: together with the owner, before, after, a hundred times at once.

use crate::support::app::{Answer, TestApp};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use std::collections::BTreeSet;
use time::Duration;

fn refresh_token(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["refresh_token"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn a_copy_that_comes_late_ends_the_session_and_its_owner_is_told_why() {
    let app = TestApp::start().await;
    let (ada, first) = app.token_member("ada@example.org").await;
    let second = refresh_token(&ada.exchange(&first).await);
    app.clock.advance(Duration::seconds(11));
    let thief = ada.exchange(&first).await;
    assert_eq!((thief.status.as_u16(), thief.code().as_str()), (401, "REFRESH_TOKEN_REPLAYED"));
    assert!(thief.headers.get("set-cookie").is_none(), "a refused refresh takes nobody's cookie away");
    let owner = ada.exchange(&second).await;
    assert_eq!((owner.status.as_u16(), owner.code().as_str()), (401, "REFRESH_TOKEN_REPLAYED"), "the reason is shown");
    assert!(owner.text.contains("used twice"), "{}", owner.text);
    assert_eq!(ada.get("/v1/me").await.code(), "INVALID_TOKEN", "so are the access tokens of the session");
    app.letter_about("ada@example.org", "was used twice").await;

    let again = app.sign_in("ada@example.org").await;
    let events = again.get("/v1/me/events").await.json();
    let replayed: Vec<_> = events["items"].as_array().unwrap().iter().filter(|event| event["event"] == "refresh_token.replayed").cloned().collect();
    assert_eq!(replayed.len(), 1, "once, however often the copies come: {events}");
    assert_eq!((replayed[0]["address"].as_str(), replayed[0]["other_address"].as_str()), (Some("127.0.0.1"), Some("127.0.0.0")));
    assert_eq!(replayed[0]["outcome"], "refused");
}

#[actix_web::test]
async fn a_flood_of_copies_ends_the_session_and_holds_nobody_up() {
    let app = TestApp::start().await;
    let (ada, first) = app.token_member("ada@example.org").await;
    let (eve, _) = app.token_member("eve@example.org").await;
    let second = refresh_token(&ada.exchange(&first).await);
    refresh_token(&ada.exchange(&second).await);
    connections(&app, 60).await;
    // more than there are connections to the database
    let flood = join_all((0..60).map(|_| ada.exchange(&first)));
    let (answers, bystander) = tokio::join!(flood, eve.get("/v1/me"));
    assert_eq!(bystander.status, 200);
    for answer in answers {
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "REFRESH_TOKEN_REPLAYED"));
    }
    assert_eq!(app.count("SELECT count(*) FROM audit_events WHERE event = 'refresh_token.replayed'").await, 1);
    app.letter_about("ada@example.org", "was used twice").await;
}

/// Opens so many connections, so that calls which follow are really at once.
async fn connections(node: &TestApp, count: usize) {
    let visitor = node.visitor();
    join_all((0..count).map(|_| visitor.get("/livez"))).await;
}

#[actix_web::test]
async fn the_grace_gives_the_same_successor_and_ends_with_its_first_use() {
    let app = TestApp::start().await;
    let (ada, first) = app.token_member("ada@example.org").await;
    let begun = app.clock.now();
    let second = refresh_token(&ada.exchange(&first).await);
    app.clock.advance(Duration::seconds(8));
    assert_eq!(refresh_token(&ada.exchange(&first).await), second, "a second tab, or an answer that was lost");
    let third = refresh_token(&ada.exchange(&second).await);
    assert!(app.clock.now() - begun < Duration::seconds(10), "still in time");
    assert_eq!(ada.exchange(&first).await.code(), "REFRESH_TOKEN_REPLAYED", "its successor was used: this is a copy");
    assert_eq!(ada.exchange(&third).await.code(), "REFRESH_TOKEN_REPLAYED");
    let repeated = app.count("SELECT count(*) FROM audit_events WHERE event = 'refresh_token.repeated'").await;
    assert_eq!(repeated, 1, "each use of the grace is on record");
}

#[actix_web::test]
async fn the_grace_lasts_ten_seconds_to_the_second() {
    let app = TestApp::start().await;
    for (wait, expected) in [(9, 200), (10, 401)] {
        let (ada, first) = app.token_member(&format!("ada{wait}@example.org")).await;
        refresh_token(&ada.exchange(&first).await);
        app.clock.advance(Duration::seconds(wait));
        assert_eq!(ada.exchange(&first).await.status, expected, "{wait} s later");
    }
    let strict = TestApp::with(&[("PORTCULLIS_REFRESH_GRACE_SECONDS", "0")]).await;
    let (ada, first) = strict.token_member("ada@example.org").await;
    refresh_token(&ada.exchange(&first).await);
    assert_eq!(ada.exchange(&first).await.code(), "REFRESH_TOKEN_REPLAYED");
}

#[actix_web::test]
async fn a_hundred_at_once_get_one_successor() {
    let app = TestApp::start().await;
    let other = app.node(None).await;
    let (ada, first) = app.token_member("ada@example.org").await;
    let there = ada.at(&other);
    tokio::join!(connections(&app, 50), connections(&other, 50));
    let answers = join_all((0..100).map(|at| if at % 2 == 0 { ada.exchange(&first) } else { there.exchange(&first) })).await;
    let successors: BTreeSet<String> = answers.iter().map(refresh_token).collect();
    assert_eq!(successors.len(), 1);
    assert_eq!(app.count("SELECT count(*) FROM refresh_tokens").await, 2, "the first and its one successor");
    assert_eq!(app.count("SELECT count(*) FROM sessions WHERE revoked_at IS NULL").await, 1);
    refresh_token(&ada.exchange(successors.first().unwrap()).await);
}

#[actix_web::test]
async fn refreshing_does_not_move_the_end_and_not_refreshing_ends_it() {
    let app = TestApp::start().await;
    let (ada, mut token) = app.token_member("ada@example.org").await;
    let (_, idle) = app.token_member("eve@example.org").await;
    let end = app.clock.now() + Duration::days(30);
    for day in [6, 12, 18, 24] {
        app.clock.advance(Duration::days(6));
        token = refresh_token(&ada.exchange(&token).await);
        if day == 6 {
            assert_eq!(ada.exchange(&idle).await.status, 200, "a second before its idle end would do");
        }
    }
    app.clock.advance(Duration::days(6) - Duration::minutes(5));
    let last = ada.exchange(&token).await;
    token = refresh_token(&last);
    assert!(last.json()["expires_in"].as_i64().unwrap() <= 300, "no access token outlives its session");
    app.clock.advance(end - app.clock.now() + Duration::SECOND);
    assert_eq!(ada.exchange(&token).await.code(), "INVALID_REFRESH_TOKEN", "the absolute end");

    let (_, forgotten) = app.token_sign_in("ada@example.org").await;
    app.clock.advance(Duration::days(7) + Duration::SECOND);
    assert_eq!(ada.exchange(&forgotten).await.code(), "INVALID_REFRESH_TOKEN", "the idle end");
}

#[actix_web::test]
async fn a_copy_that_was_forgotten_is_worth_nothing() {
    let app = TestApp::start().await;
    let (ada, first) = app.token_member("ada@example.org").await;
    let second = refresh_token(&ada.exchange(&first).await);
    app.clock.advance(Duration::days(6));
    let third = refresh_token(&ada.exchange(&second).await);
    app.clock.advance(Duration::days(2));
    app.run_jobs().await;
    assert_eq!(app.count("SELECT count(*) FROM refresh_tokens").await, 2, "used a week ago: forgotten");
    assert_eq!(ada.exchange(&first).await.code(), "INVALID_REFRESH_TOKEN");
    refresh_token(&ada.exchange(&third).await);
}

#[actix_web::test]
async fn nothing_is_refreshed_after_signing_out_at_another_node() {
    let app = TestApp::start().await;
    let other = app.node(None).await;
    let (ada, token) = app.token_member("ada@example.org").await;
    assert_eq!(ada.at(&other).post("/v1/auth/logout", json!({})).await.status, 204);
    assert_eq!(ada.exchange(&token).await.code(), "INVALID_REFRESH_TOKEN");
    assert_eq!(ada.exchange("made-up").await.code(), "INVALID_REFRESH_TOKEN");
    assert_eq!(ada.exchange(&"x".repeat(65)).await.code(), "INVALID");
    assert_eq!(app.visitor().post("/v1/auth/token/refresh", json!({})).await.code(), "INVALID_REFRESH_TOKEN");
}

#[actix_web::test]
async fn two_refresh_tokens_in_one_call_are_refused() {
    let app = TestApp::start().await;
    let (ada, mine) = app.token_member("ada@example.org").await;
    let (_, theirs) = app.token_member("eve@example.org").await;
    let both = app.visitor().request(Method::POST, "/v1/auth/token/refresh").header("cookie", format!("__Secure-portcullis-refresh={theirs}"));
    assert_eq!(Answer::of(both.json(&json!({ "refresh_token": mine }))).await.code(), "INVALID");
    assert_eq!(ada.exchange(&mine).await.status, 200, "nothing was spent");
}

#[actix_web::test]
async fn a_stolen_password_change_leaves_no_copy_of_a_token_alive() {
    use crate::support::app::PASSWORD;
    let app = TestApp::start().await;
    let (ada, copied) = app.token_member("ada@example.org").await;
    let changed = ada.post("/v1/me/password", json!({ "current_password": PASSWORD, "password": "another moon over wet tin" })).await;
    assert_eq!(changed.status, 204, "{}", changed.text);
    assert_eq!(ada.exchange(&copied).await.code(), "INVALID_REFRESH_TOKEN");
    assert_eq!(ada.get("/v1/me").await.code(), "INVALID_TOKEN");
    assert_eq!(app.visitor().sign_in("ada@example.org", "another moon over wet tin").await.status, 200);
}
