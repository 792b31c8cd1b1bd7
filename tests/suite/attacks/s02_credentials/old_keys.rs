//! The attacker has a key that the service once signed with. And the owner, who has changed it, must not notice.

use crate::support::{
    TestDatabase,
    app::{Actor, TestApp},
    relay::{Relay, Way},
};
use portcullis::platform::keyring::{
    Purpose,
    signing::Algorithm,
    store::{self, keep_fresh},
};
use sqlx::{PgPool, postgres::PgPoolOptions};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};
use time::Duration;

const SIGNING: Purpose = Purpose::TokenSigning;

/// Waits until this node signs with another key than this one.
async fn signs_with_another(app: &TestApp, before: &str) {
    app.wait_for("another key", async || (app.state.keyring.signing_key().unwrap().id() != before).then_some(())).await;
}

#[actix_web::test]
async fn a_retired_key_verifies_what_it_signed_and_nothing_after_its_time() {
    let app = TestApp::start().await;
    let (mut ada, _) = app.token_member("ada@example.org").await;
    let old = app.state.keyring.signing_key().unwrap();
    app.database.rotate(SIGNING).await;
    signs_with_another(&app, old.id()).await;
    assert_eq!(ada.get("/v1/me").await.status, 200, "its tokens go on");
    assert_eq!(app.state.keyring.published_keys(app.clock.now()).len(), 3, "and verifiers elsewhere still find it");

    app.clock.advance(Duration::minutes(16) + Duration::SECOND);
    let mut claims = crate::journeys::tokens::part(ada.bearer.as_deref().unwrap(), 1);
    let now = app.clock.now().unix_timestamp();
    for (name, value) in [("iat", now), ("nbf", now), ("exp", now + 600)] {
        claims[name] = value.into();
    }
    ada.bearer = Some(old.sign("at+jwt", &claims).unwrap());
    assert_eq!(ada.get("/v1/me").await.code(), "INVALID_TOKEN", "a thief of the old key signs in vain");
    ada.bearer = Some(app.state.keyring.signing_key().unwrap().sign("at+jwt", &claims).unwrap());
    assert_eq!(ada.get("/v1/me").await.status, 200, "it was the key");
    assert!(app.state.keyring.published_keys(app.clock.now()).iter().all(|key| key.id() != old.id()));
}

#[actix_web::test]
async fn the_overlap_can_be_ended_and_a_key_revoked_at_once() {
    let app = TestApp::start().await;
    let other = app.node(None).await;
    let (ada, refresh) = app.token_member("ada@example.org").await;
    let first = app.state.keyring.signing_key().unwrap();
    app.database.rotate(SIGNING).await;
    assert_eq!(store::retire(&mut app.database.pool.acquire().await.unwrap(), SIGNING, app.clock.now()).await.unwrap(), 1);
    for node in [&app, &other] {
        node.wait_for("the end of the overlap", async || (ada.at(node).get("/v1/me").await.code() == "INVALID_TOKEN").then_some(())).await;
    }
    signs_with_another(&app, first.id()).await;
    let again = ada.exchange(&refresh).await.json();
    let mut ada = app.visitor();
    ada.bearer = again["access_token"].as_str().map(str::to_owned);
    assert_eq!(ada.at(&other).get("/v1/me").await.status, 200);

    let second = app.state.keyring.signing_key().unwrap();
    app.database.revoke(SIGNING).await;
    for node in [&app, &other] {
        node.wait_for("the revocation", async || (ada.at(node).get("/v1/me").await.code() == "INVALID_TOKEN").then_some(())).await;
        signs_with_another(node, second.id()).await;
    }
    let refreshed = ada.exchange(again["refresh_token"].as_str().unwrap()).await;
    assert_eq!(refreshed.status, 200, "nobody has to sign in again: {}", refreshed.text);
    ada.bearer = refreshed.json()["access_token"].as_str().map(str::to_owned);
    assert_eq!(ada.at(&other).get("/v1/me").await.status, 200);
}

/// Strangers can make a node read the table at any time. What was read before the revocation must not be kept behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_does_not_bring_a_revoked_key_back() {
    let t = TestDatabase::create().await;
    let relay = Relay::before(&t.feed);
    let slow = PgPoolOptions::new().max_connections(1).test_before_acquire(false);
    let slow = slow.connect_lazy_with(relay.options().application_name("slow"));
    t.keyring.reload(&slow).await.unwrap();
    let old = t.keyring.signing_key().unwrap();
    let reload = |pool: &PgPool| {
        let (keyring, pool) = (t.keyring.clone(), pool.clone());
        tokio::spawn(async move { keyring.reload(&pool).await.unwrap() })
    };
    let last_query = async || -> String {
        let sql =
            "SELECT query_start::text FROM pg_stat_activity WHERE application_name = 'slow' AND state = 'idle' AND datname = current_database()";
        sqlx::query_scalar(sql).fetch_optional(&t.pool).await.unwrap().unwrap_or_default()
    };
    let deadline = Instant::now() + std::time::Duration::from_secs(20);
    // a connection on its way back to the pool is asked whether it lives: that, too, would be held
    while slow.num_idle() == 0 {
        assert!(Instant::now() < deadline, "the slow reader's connection does not come back");
        tokio::task::yield_now().await;
    }
    let before = last_query().await;
    relay.set(Way::AnswersHeld);
    let early = reload(&slow);
    while ["", before.as_str()].contains(&last_query().await.as_str()) {
        assert!(Instant::now() < deadline, "the slow reader does not read");
    }

    t.revoke(SIGNING).await;
    let mut late = reload(&t.pool);
    // time to overtake, for whoever may
    let overtook = tokio::time::timeout(std::time::Duration::from_millis(500), &mut late).await.is_ok();
    relay.set(Way::Open);
    early.await.unwrap();
    if !overtook {
        late.await.unwrap();
    }
    assert!(t.keyring.verifying_key(old.id(), t.clock.now()).is_none());
}

#[actix_web::test]
async fn keys_rotate_by_the_clock_and_with_the_setting_and_nobody_notices() {
    let app = TestApp::start().await;
    let (ada, _) = app.token_member("ada@example.org").await;
    let first = app.state.keyring.signing_key().unwrap();
    app.run_jobs().await;
    assert_eq!(app.state.keyring.signing_key().unwrap().id(), first.id(), "not due");
    app.clock.advance(Duration::days(30));
    app.run_jobs().await;
    let second = app.state.keyring.signing_key().unwrap();
    assert_ne!(second.id(), first.id());
    app.run_jobs().await;
    assert_eq!(app.state.keyring.signing_key().unwrap().id(), second.id(), "once");

    // another algorithm in the settings: first the next key is of it, and when others know that one, it signs
    let change = async || {
        let mut transaction = app.database.pool.begin().await.unwrap();
        let changed = keep_fresh(&mut transaction, &app.state.keyring, SIGNING, Algorithm::Es256, Duration::days(30), app.clock.now()).await.unwrap();
        transaction.commit().await.unwrap();
        app.state.keyring.reload(&app.database.pool).await.unwrap();
        (changed, app.state.keyring.signing_key().unwrap().algorithm())
    };
    assert_eq!(change().await, (false, Algorithm::EdDsa), "nodes with different settings do not undo each other's keys all the time");
    app.clock.advance(Duration::minutes(5));
    assert_eq!(change().await, (true, Algorithm::EdDsa), "announced");
    assert_eq!(change().await, (false, Algorithm::EdDsa), "not yet");
    app.clock.advance(Duration::minutes(5));
    assert_eq!(change().await, (true, Algorithm::Es256));
    assert_eq!(change().await, (false, Algorithm::Es256));
    assert_eq!(ada.get("/v1/me").await.code(), "INVALID_TOKEN", "a month later");
    let (ada, _) = app.token_sign_in("ada@example.org").await;
    assert_eq!(ada.get("/v1/me").await.status, 200);
}

#[actix_web::test]
async fn a_key_that_others_may_not_know_yet_does_not_sign() {
    let app = TestApp::start().await;
    let rotate = async |is_urgent| {
        let mut transaction = app.database.pool.begin().await.unwrap();
        store::rotate(&mut transaction, &app.state.keyring, SIGNING, Algorithm::EdDsa, is_urgent, app.clock.now()).await
    };
    assert!(rotate(false).await.unwrap_err().to_string().contains("others may not know it"));
    app.clock.advance(Duration::minutes(5));
    rotate(false).await.unwrap();
}

/// One caller who never stops: every call at one node or the other must be answered, refreshing when the token runs out.
async fn calls_without_end(app: &TestApp, other: &TestApp, email: &str, is_over: &AtomicBool, calls: &AtomicUsize) {
    let (mut ada, mut refresh) = app.token_sign_in(email).await;
    let mut round = 0;
    while !is_over.load(Ordering::Relaxed) {
        let node = if round % 2 == 0 { app } else { other };
        let answer = ada.at(node).get("/v1/auth/verify").await;
        assert_eq!(answer.status, 200, "{email}, call {round}: {}", answer.text);
        if round % 5 == 4 {
            // at the node that did not make the last one
            let answer = Actor::exchange(&ada.at(node), &refresh).await;
            assert_eq!(answer.status, 200, "{email}, refresh {round}: {}", answer.text);
            refresh = answer.json()["refresh_token"].as_str().unwrap().to_owned();
            ada.bearer = answer.json()["access_token"].as_str().map(str::to_owned);
        }
        round += 1;
        calls.fetch_add(1, Ordering::Relaxed);
    }
}

#[actix_web::test]
async fn no_call_fails_while_keys_rotate_under_load() {
    let app = TestApp::start().await;
    let other = app.node(None).await;
    let emails = ["a@example.org", "b@example.org", "c@example.org", "d@example.org"];
    for email in emails {
        app.create_account(email).await;
    }
    let (is_over, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load = futures_util::future::join_all(emails.map(|email| calls_without_end(&app, &other, email, &is_over, &calls)));
    let rotations = async {
        for round in 1..=10 {
            let node = if round % 2 == 0 { &app } else { &other };
            node.database.rotate(if round % 3 == 0 { Purpose::RefreshToken } else { SIGNING }).await;
            let enough = calls.load(Ordering::Relaxed) + 40;
            app.wait_for("calls under the new key", async || (calls.load(Ordering::Relaxed) >= enough).then_some(())).await;
        }
        is_over.store(true, Ordering::Relaxed);
    };
    tokio::join!(load, rotations);
    assert!(app.count("SELECT count(*) FROM keyring WHERE purpose = 'token_signing' AND state = 'retired'").await >= 6);
}
