//! Somebody's session was ended at one node; the thief goes on with their access token at another one, which asks no database.

use crate::support::app::{Actor, PASSWORD, TestApp};
use serde_json::json;
use std::time::{Duration, Instant};

/// How long after an answer its effect may take to reach every node.
pub const BOUND: Duration = Duration::from_millis(100);

/// Waits until the token is refused here. A machine that is busy with other tests is slow in everything, so the bound counts how
/// long the other node lagged behind a change, not how long a call took: the refusal must come from the first call that began after
/// the bound.
async fn is_out(actor: &Actor<'_>, node: &TestApp, answered: Instant, how: &str) {
    let there = actor.at(node);
    loop {
        let began = Instant::now();
        let answer = there.get("/v1/auth/verify").await;
        if answer.code() == "INVALID_TOKEN" {
            return;
        }
        assert!(began.duration_since(answered) < BOUND, "{how}: still in after {:?}: {}", began.duration_since(answered), answer.text);
    }
}

#[actix_web::test]
async fn whatever_ends_a_session_ends_it_on_every_node() {
    let app = TestApp::start().await;
    let other = app.node(None).await;
    let root = app.administrator().await;
    app.create_account("ada@example.org").await;
    let id = app.id_of("ada@example.org").await;
    for how in ["logout", "logout-all", "one device", "other devices", "password", "disabled", "by an administrator", "replay", "close"] {
        let (ada, refresh) = app.token_sign_in("ada@example.org").await;
        let at_both = ada.at(&other);
        assert_eq!((ada.get("/v1/auth/verify").await.status.as_u16(), at_both.get("/v1/auth/verify").await.status.as_u16()), (200, 200), "{how}");
        let session = ada.get("/v1/auth/verify").await.header("x-auth-session").to_owned();
        let done = match how {
            "logout" => ada.post("/v1/auth/logout", json!({})).await,
            "logout-all" => ada.post("/v1/auth/logout-all", json!({})).await,
            "one device" => app.sign_in("ada@example.org").await.delete(&format!("/v1/me/sessions/{session}")).await,
            "other devices" => app.sign_in("ada@example.org").await.delete("/v1/me/sessions").await,
            "password" => {
                let body = json!({ "current_password": PASSWORD, "password": "another moon over wet tin" });
                let done = app.sign_in("ada@example.org").await.post("/v1/me/password", body).await;
                sqlx::query(
                    "UPDATE passwords SET phc = other.phc, pepper_version = other.pepper_version FROM passwords other
                             WHERE other.user_id <> passwords.user_id AND passwords.user_id = $1::uuid",
                )
                .bind(&id)
                .execute(&app.database.pool)
                .await
                .unwrap();
                done
            }
            "disabled" => root.put(&format!("/v1/users/{id}/disabled"), json!({ "disabled": true })).await,
            "by an administrator" => root.delete(&format!("/v1/users/{id}/sessions")).await,
            "replay" => {
                let second = ada.exchange(&refresh).await.json()["refresh_token"].as_str().unwrap().to_owned();
                ada.exchange(&second).await;
                ada.exchange(&refresh).await
            }
            _ => ada.post("/v1/me/close", json!({ "email": "ada@example.org" })).await,
        };
        let answered = Instant::now();
        assert!(done.status == 204 || done.status == 200 || how == "replay" && done.status == 401, "{how}: {}", done.text);
        assert_eq!(ada.get("/v1/auth/verify").await.code(), "INVALID_TOKEN", "{how}: here at once");
        is_out(&ada, &other, answered, how).await;
        if how == "disabled" {
            assert_eq!(root.put(&format!("/v1/users/{id}/disabled"), json!({ "disabled": false })).await.status, 200);
        }
    }
}

#[actix_web::test]
async fn an_operators_own_statement_is_heard_too() {
    let app = TestApp::start().await;
    let (ada, _) = app.token_member("ada@example.org").await;
    for statement in ["UPDATE users SET status = 'disabled'", "UPDATE users SET status = 'active'", "UPDATE sessions SET revoked_at = now()"] {
        let is_in = statement.contains("active");
        sqlx::query(statement).execute(&app.database.pool).await.unwrap();
        app.wait_for(statement, async || ((ada.get("/v1/auth/verify").await.status == 200) == is_in).then_some(())).await;
    }
    let (ada, _) = app.token_sign_in("ada@example.org").await;
    sqlx::query("DELETE FROM sessions").execute(&app.database.pool).await.unwrap();
    app.wait_for("the deletion", async || (ada.get("/v1/auth/verify").await.code() == "INVALID_TOKEN").then_some(())).await;
}

#[actix_web::test]
async fn a_role_taken_away_is_gone_from_the_scope_of_tokens_that_exist() {
    let app = TestApp::start().await;
    let other = app.node(None).await;
    let root = app.administrator().await;
    app.role("reader", &["users:read"]).await;
    app.create_account("ada@example.org").await;
    let roles = format!("/v1/users/{}/roles", app.id_of("ada@example.org").await);
    assert_eq!(root.put(&roles, json!({ "roles": [{ "role": "reader" }] })).await.status, 200);
    let (ada, _) = app.token_sign_in("ada@example.org").await;
    let there = ada.at(&other);
    assert_eq!((ada.get("/v1/auth/verify").await.header("x-auth-scope"), there.get("/v1/users").await.status.as_u16()), ("users:read", 200));

    assert_eq!(root.put(&roles, json!({ "roles": [] })).await.status, 200);
    let answered = Instant::now();
    assert_eq!(ada.get("/v1/auth/verify?permission=users:read").await.code(), "FORBIDDEN", "here at once");
    loop {
        let began = Instant::now();
        let answer = there.get("/v1/auth/verify?permission=users:read").await;
        if answer.code() == "FORBIDDEN" {
            break;
        }
        assert!(began.duration_since(answered) < BOUND, "{}", answer.text);
    }
    assert_eq!(ada.get("/v1/auth/verify").await.header("x-auth-scope"), "", "the person is still signed in");
    assert_eq!(there.get("/v1/users").await.code(), "FORBIDDEN");
}
