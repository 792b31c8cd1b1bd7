//! Guessing without being noticed: hanging up, resetting the stream, or sending the last byte just before the deadline, so that the
//! handler is dropped between the look at the password and what a wrong one causes. Whether the guess was right would still be told,
//! by what is given back of the quota.

use crate::support::{
    app::{Answer, TestApp},
    canaries, log,
};
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use sqlx::{Postgres, Transaction};
use std::time::{Duration, Instant};

fn guess(app: &TestApp) -> RequestBuilder {
    app.visitor().request(Method::POST, "/v1/auth/login").json(&json!({ "email": "ada@example.org", "password": "guess number one" }))
}

/// Nobody's password can be looked up while this lasts.
async fn hold(app: &TestApp) -> Transaction<'static, Postgres> {
    let mut transaction = app.database.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE passwords IN ACCESS EXCLUSIVE MODE").execute(&mut *transaction).await.unwrap();
    transaction
}

async fn one_waits(app: &TestApp) {
    app.wait_for("the look-up to wait", async || {
        (app.count("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'passwords'::regclass").await == 1).then_some(())
    })
    .await;
}

async fn is_noticed(app: &TestApp, lines: usize) {
    app.wait_for("the wrong guess to be an audit event", async || {
        (app.count("SELECT count(*) FROM audit_events WHERE event = 'session.refused'").await == 1).then_some(())
    })
    .await;
    app.wait_for("its line in the log", async || (refusals_logged() > lines).then_some(())).await;
}

fn refusals_logged() -> usize {
    log::text().lines().filter(|line| line.contains("INVALID_CREDENTIALS") && line.contains("/v1/auth/login")).count()
}

#[actix_web::test]
async fn whoever_hangs_up_has_guessed_all_the_same() {
    let app = TestApp::start().await;
    app.create_account("ada@example.org").await;
    let (held, lines) = (hold(&app).await, refusals_logged());
    let (client, request) = guess(&app).build_split();
    let request = request.unwrap();
    canaries::sent(&request);
    tokio::select! {
        _ = client.execute(request) => panic!("answered"),
        // dropped with this: HTTP/2 resets its stream, HTTP/1.1 closes the connection
        () = one_waits(&app) => {}
    }
    // what came after it on the same connection is answered: it has arrived
    assert_eq!(app.visitor().get("/livez").await.status, 200);
    held.commit().await.unwrap();
    is_noticed(&app, lines).await;
}

#[actix_web::test]
async fn a_guess_that_arrives_late_is_noticed_all_the_same() {
    let app = TestApp::with(&[("PORTCULLIS_REQUEST_TIMEOUT_SECONDS", "1")]).await;
    app.create_account("ada@example.org").await;
    let (held, lines, begun) = (hold(&app).await, refusals_logged(), Instant::now());
    let late = async || (begun.elapsed() > Duration::from_millis(1300)).then_some(());
    let (answer, ()) = tokio::join!(Answer::of(guess(&app)), async {
        app.wait_for("the time of a body to be over", late).await;
        held.commit().await.unwrap();
    });
    assert_eq!(answer.status, 401);
    is_noticed(&app, lines).await;
}

#[actix_web::test]
async fn work_has_an_end_too() {
    let app = TestApp::with(&[("PORTCULLIS_REQUEST_TIMEOUT_SECONDS", "1")]).await;
    let held = hold(&app).await;
    let answer = Answer::of(guess(&app)).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "UNAVAILABLE"));
    held.commit().await.unwrap();
}
