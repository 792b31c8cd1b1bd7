//! The attacker cuts a node off from what the others say, or lets its connection hang, and goes on with a token that was ended.

use super::ended_elsewhere::BOUND;
use crate::support::{
    app::TestApp,
    relay::{Relay, Way},
};
use portcullis::sessions::revocation::{Standing, TRUSTED_FOR};
use serde_json::json;
use std::time::Instant;

#[actix_web::test]
async fn a_node_that_hears_nothing_asks_the_database() {
    let app = TestApp::start().await;
    let relay = Relay::before(&app.database.feed);
    let deaf = app.node(Some(relay.options())).await;
    app.create_account("ada@example.org").await;
    for way in [Way::Cut, Way::HalfOpen] {
        let (ada, _) = app.token_sign_in("ada@example.org").await;
        let (eve, _) = app.token_sign_in("ada@example.org").await;
        let (out, still_in) = (ada.at(&deaf), eve.at(&deaf));
        assert_eq!(out.get("/v1/auth/verify").await.status, 200);
        relay.set(way);
        let cut = Instant::now();
        assert_eq!(ada.post("/v1/auth/logout", json!({})).await.status, 204);
        loop {
            let began = Instant::now();
            if out.get("/v1/auth/verify").await.code() == "INVALID_TOKEN" {
                break;
            }
            // a loss that shows is no secret; silence has to be noticed
            let bound = if way == Way::Cut { BOUND } else { TRUSTED_FOR };
            assert!(began.duration_since(cut) < bound, "{way:?}: memory is still believed");
        }
        deaf.wait_for("distrust", async || (!deaf.state.revocations.is_trusted()).then_some(())).await;
        assert_eq!(still_in.get("/v1/auth/verify").await.status, 200, "{way:?}: whoever is not signed out goes on, at the price of a query");
        assert_eq!(eve.post("/v1/auth/logout", json!({})).await.status, 204);
        assert_eq!(still_in.get("/v1/auth/verify").await.code(), "INVALID_TOKEN", "{way:?}: at once: the database is asked");

        relay.set(Way::Open);
        deaf.wait_for("the feed", async || deaf.state.revocations.is_trusted().then_some(())).await;
        assert_eq!(still_in.get("/v1/auth/verify").await.code(), "INVALID_TOKEN", "{way:?}: what was said meanwhile is known");
    }
}

#[actix_web::test]
async fn a_connection_that_hangs_is_given_up() {
    let app = TestApp::start().await;
    let relay = Relay::before(&app.database.feed);
    let deaf = app.node(Some(relay.options())).await;
    let before = relay.connections();
    relay.hang();
    deaf.wait_for("another connection", async || (relay.connections() > before).then_some(())).await;
    let (ada, _) = app.token_member("ada@example.org").await;
    assert_eq!(ada.post("/v1/auth/logout", json!({})).await.status, 204);
    deaf.wait_for("what is said on it", async || (ada.at(&deaf).get("/v1/auth/verify").await.code() == "INVALID_TOKEN").then_some(())).await;
}

#[actix_web::test]
async fn what_a_deaf_node_ends_or_takes_away_itself_is_gone_there_at_once() {
    let app = TestApp::start().await;
    let relay = Relay::before(&app.database.feed);
    let deaf = app.node(Some(relay.options())).await;
    let root = app.administrator().await.at(&deaf);
    app.role("reader", &["users:read"]).await;
    app.create_account("ada@example.org").await;
    let roles = format!("/v1/users/{}/roles", app.id_of("ada@example.org").await);
    let given = json!({ "roles": [{ "role": "reader" }] });
    for (what, change) in [("taken", json!({ "roles": [] })), ("edited", json!({ "description": "x", "permissions": [] })), ("ended", json!({}))] {
        assert_eq!(root.put(&roles, given.clone()).await.status, 200);
        let (ada, _) = app.token_sign_in("ada@example.org").await;
        let there = ada.at(&deaf);
        deaf.wait_for("memory to answer", async || {
            let claims = crate::journeys::tokens::part(ada.bearer.as_deref().unwrap(), 1);
            let id = |name: &str| claims[name].as_str().unwrap().parse().unwrap();
            let version = i32::try_from(claims["authz_version"].as_i64().unwrap()).unwrap();
            (deaf.state.revocations.standing(id("sid"), id("sub"), version) == Standing::Good).then_some(())
        })
        .await;
        relay.set(Way::HalfOpen);
        assert_eq!(there.get("/v1/auth/verify?permission=users:read").await.status, 200, "{what}");
        let (done, expected) = match what {
            "taken" => (root.put(&roles, change).await, "FORBIDDEN"),
            "edited" => (root.put("/v1/roles/reader", change).await, "FORBIDDEN"),
            _ => (there.post("/v1/auth/logout", change).await, "INVALID_TOKEN"),
        };
        assert!(done.status.is_success(), "{what}: {}", done.text);
        assert_eq!(there.get("/v1/auth/verify?permission=users:read").await.code(), expected, "{what}");
        assert!(deaf.state.revocations.is_trusted() || what == "ended", "{what}: it was no distrust that helped");
        relay.set(Way::Open);
        let restored = sqlx::query("INSERT INTO role_permissions VALUES ('reader', 'users:read') ON CONFLICT DO NOTHING");
        restored.execute(&app.database.pool).await.unwrap();
    }
}

#[actix_web::test]
async fn what_was_said_during_a_cut_is_in_memory_afterwards() {
    let app = TestApp::start().await;
    let relay = Relay::before(&app.database.feed);
    let deaf = app.node(Some(relay.options())).await;
    let (ada, _) = app.token_member("ada@example.org").await;
    relay.set(Way::Cut);
    assert_eq!(ada.post("/v1/auth/logout", json!({})).await.status, 204);
    deaf.wait_for("the loss", async || (!deaf.state.revocations.is_trusted()).then_some(())).await;
    relay.set(Way::Open);
    deaf.wait_for("the feed", async || deaf.state.revocations.is_trusted().then_some(())).await;
    // memory alone: the database says something else now
    sqlx::query("UPDATE sessions SET revoked_at = NULL").execute(&app.database.pool).await.unwrap();
    assert_eq!(ada.at(&deaf).get("/v1/auth/verify").await.code(), "INVALID_TOKEN");
}

#[actix_web::test]
async fn under_load_a_cut_lets_nobody_in_who_is_out_and_throws_nobody_out() {
    let app = TestApp::start().await;
    let relay = Relay::before(&app.database.feed);
    let deaf = app.node(Some(relay.options())).await;
    app.create_account("ada@example.org").await;
    let (steady, _) = app.token_sign_in("ada@example.org").await;
    let steady = steady.at(&deaf);
    let trouble = async {
        for way in [Way::Cut, Way::Open, Way::HalfOpen, Way::Open, Way::Cut, Way::Open] {
            let (ada, _) = app.token_sign_in("ada@example.org").await;
            relay.set(way);
            assert_eq!(ada.post("/v1/auth/logout", json!({})).await.status, 204);
            let (out, ended) = (ada.at(&deaf), Instant::now());
            loop {
                let began = Instant::now();
                if out.get("/v1/auth/verify").await.code() == "INVALID_TOKEN" {
                    break;
                }
                assert!(began.duration_since(ended) < TRUSTED_FOR, "{way:?}");
            }
        }
    };
    let load = async {
        loop {
            let answer = steady.get("/v1/auth/verify").await;
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
    };
    tokio::select! {
        () = trouble => {}
        () = load => {}
    }
}

#[actix_web::test]
async fn where_nobody_can_be_asked_nobody_gets_in() {
    let app = TestApp::start().await;
    let relay = Relay::before(&app.database.feed);
    let deaf = app.node(Some(relay.options())).await;
    let (ada, _) = app.token_member("ada@example.org").await;
    let there = ada.at(&deaf);
    relay.set(Way::Cut);
    deaf.database.pool.close().await;
    deaf.wait_for("doubt", async || (there.get("/v1/auth/verify").await.status != 200).then_some(())).await;
    let answer = there.get("/v1/auth/verify").await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str(), answer.header("retry-after")), (503, "UNAVAILABLE", "5"));
    assert_eq!(there.get("/livez").await.status, 200, "a call that needs no token is none of its business");
}
