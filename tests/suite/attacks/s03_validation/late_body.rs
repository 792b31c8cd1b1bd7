//! Somebody who is about to be thrown out begins a call and holds its body back until after the session has ended.

use crate::support::app::TestApp;
use futures_util::StreamExt;
use reqwest::{Body, Method};
use serde_json::json;
use time::Duration;
use tokio::sync::oneshot;

#[actix_web::test]
async fn a_body_that_outlives_its_session_changes_nothing() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    app.clock.advance(Duration::minutes(2));
    let (go_on, held_back) = oneshot::channel();
    let start = futures_util::stream::iter([Ok::<_, std::io::Error>("{\"name\":".to_owned())]);
    let end = futures_util::stream::once(async move { Ok(held_back.await.unwrap()) });
    let call = ada.request(Method::PATCH, "/v1/me").header("content-type", "application/json").body(Body::wrap_stream(start.chain(end)));
    let call = actix_web::rt::spawn(call.send());
    app.wait_for("the call to be let in", async || {
        app.marks_of_use_written().await;
        let seen = app.count("SELECT count(*) FROM sessions WHERE last_seen_at > authenticated_at + interval '1 minute'").await;
        (seen == 1).then_some(())
    })
    .await;

    let root = app.administrator().await;
    let path = format!("/v1/users/{}/disabled", app.id_of("ada@example.org").await);
    assert_eq!(root.put(&path, json!({ "disabled": true })).await.status, 200);
    assert_eq!(root.put(&path, json!({ "disabled": false })).await.status, 200, "the account is there, the session is not");
    app.clock.advance(Duration::seconds(2));
    go_on.send("\"Mallory\"}".to_owned()).unwrap();
    let answer = call.await.unwrap().unwrap();
    assert_eq!(answer.status(), 401, "{}", answer.text().await.unwrap());
    assert_eq!(app.count("SELECT count(*) FROM users WHERE name = 'Mallory'").await, 0);
    let ada = app.sign_in("ada@example.org").await;
    assert_eq!(ada.patch("/v1/me", json!({ "name": "Countess" })).await.status, 200);
}

/// However short the time is: what changes the account looks again behind its lock.
#[actix_web::test]
async fn nor_within_a_second_where_the_account_hangs_on_it() {
    let app = TestApp::start().await;
    let (ada, elsewhere) = (app.member_with("ada@example.org", "administrator").await, app.sign_in("ada@example.org").await);
    for (path, start, rest, expected) in [
        ("/v1/me/email", "{\"email\":", "\"thief@evil.example\"}", 401),
        ("/v1/me/password", "{\"password\":\"mallory has chosen this one\",", "\"current_password\":\"wet gravel under a tin moon\"}", 401),
        ("/v1/roles", "{\"name\":\"thieves\",", "\"description\":\"x\",\"permissions\":[\"users:read\"]}", 403),
    ] {
        let thief = app.sign_in("ada@example.org").await;
        app.clock.advance(Duration::minutes(2));
        let (go_on, held_back) = oneshot::channel();
        let start = futures_util::stream::iter([Ok::<_, std::io::Error>(start.to_owned())]);
        let end = futures_util::stream::once(async move { Ok(held_back.await.unwrap()) });
        let call = thief.request(Method::POST, path).header("content-type", "application/json").body(Body::wrap_stream(start.chain(end)));
        let call = actix_web::rt::spawn(call.send());
        app.wait_for("the call to be let in", async || {
            app.marks_of_use_written().await;
            let seen =
                app.count("SELECT count(*) FROM sessions WHERE revoked_at IS NULL AND last_seen_at > authenticated_at + interval '1 minute'").await;
            (seen == 1).then_some(())
        })
        .await;
        let mut owner = elsewhere.clone();
        owner.sign_in("ada@example.org", crate::support::app::PASSWORD).await;
        assert_eq!(owner.delete("/v1/me/sessions").await.status, 204);
        go_on.send(rest.to_owned()).unwrap();
        let answer = call.await.unwrap().unwrap();
        assert_eq!(answer.status(), expected, "{path}: {}", answer.text().await.unwrap());
    }
    assert_eq!(app.count("SELECT count(*) FROM mailed_proofs WHERE purpose = 'email_change'").await, 0);
    assert_eq!(app.count("SELECT count(*) FROM roles WHERE name = 'thieves'").await, 0);
    assert_eq!(ada.get("/v1/me").await.status, 401);
    app.sign_in("ada@example.org").await;
}
