//! Endpoints are told of what happens: signed, numbered, tried again until it arrives, and looked up afterwards.

use crate::support::{
    app::TestApp,
    receiver::{Reaction, Received, Receiver, Subscribed},
};
use portcullis::webhooks::delivery::store;
use reqwest::Method;
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc};
use time::Duration;
use uuid::Uuid;

async fn service(receiver: &Arc<Receiver>, more: &[(&str, &str)]) -> TestApp {
    let settings = receiver.settings();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).chain(more.iter().copied()).collect();
    TestApp::with(&settings).await
}

async fn events(app: &TestApp, name: &str) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM audit_events WHERE event = $1").bind(name).fetch_one(&app.database.pool).await.unwrap()
}

fn last(delivery: &Value) -> &Value {
    delivery["attempts"].as_array().unwrap().last().unwrap()
}

#[actix_web::test]
async fn an_endpoint_is_told_of_what_it_wants_and_of_nothing_personal() {
    let receiver = Receiver::start(&["127.0.0.1"]);
    let app = service(&receiver, &[]).await;
    let root = app.administrator().await;
    let endpoint = root.subscribe(&receiver.url(), &["account.created", "account.disabled", "session.refused"]).await;
    app.create_account("ada@example.org").await;
    let ada = app.id_of("ada@example.org").await;
    assert_eq!(app.visitor().post("/v1/auth/login", json!({ "email": "ada@example.org", "password": "not this one, surely" })).await.status, 401);
    assert_eq!(root.put(&format!("/v1/users/{ada}/disabled"), json!({ "disabled": true })).await.status, 200);

    let mut received = receiver.wait_for(&app, 3).await;
    received.sort_by_key(Received::sequence);
    let told: Vec<_> = received.iter().map(|received| (received.sequence(), received.json()["type"].clone())).collect();
    assert_eq!(told, [(1, json!("account.created")), (2, json!("session.refused")), (3, json!("account.disabled"))]);
    let disabled = received[2].json();
    let event: Value = root.get("/v1/audit/events?event=account.disabled").await.json()["items"][0].clone();
    assert_eq!(disabled["timestamp"], event["at"]);
    let (by, detail) = (&event["actor"], &event["detail"]);
    let expected = json!({ "sequence": 3, "event_id": event["id"], "outcome": "success", "actor_id": by, "subject_id": ada, "detail": detail });
    assert_eq!(disabled["data"], expected);
    for received in &received {
        assert!(received.is_signed_by(&endpoint.secret) && received.is_signed_by_key(&endpoint.public_key));
        assert!(
            !received.body.contains("example.org") && !received.body.contains("127.0.0.1") && !received.body.contains("Ada"),
            "{}",
            received.body
        );
        assert!(received.head.iter().any(|line| line.eq_ignore_ascii_case("content-type: application/json")), "{:?}", received.head);
        assert!(received.head[0].starts_with("POST /hooks?for=portcullis HTTP/1.1"), "{:?}", received.head);
    }
    app.wait_for("the log", async || {
        let log = root.deliveries(&endpoint).await;
        log.iter().all(|delivery| delivery["state"] == "delivered" && last(delivery)["status"] == 204).then_some(())
    })
    .await;
    assert_eq!(events(&app, "webhook.delivered").await, 3);
    // what nobody is told of, and what webhooks do, makes no row
    assert_eq!(app.count("SELECT count(*) FROM webhook_queue").await, 0);
    assert_eq!(receiver.received().len(), 3);
}

#[actix_web::test]
async fn who_wants_everything_is_told_of_what_is_published_only() {
    let receiver = Receiver::start(&["127.0.0.1"]);
    let app = service(&receiver, &[]).await;
    let root = app.administrator().await;
    let all = Subscribed::of(&root.post("/v1/webhooks/endpoints", json!({ "name": "All", "url": receiver.url() })).await);
    let ada = app.member("ada@example.org").await;
    let document = json!({ "title": "Plan", "body": "<p>x</p>", "classification": "internal" });
    assert_eq!(ada.post("/v1/documents", document).await.status, 201);
    assert_eq!(ada.post("/v1/auth/logout", json!({})).await.status, 204);
    let received = receiver.wait_for(&app, 3).await;
    let kinds: BTreeSet<String> = received.iter().map(|received| received.json()["type"].as_str().unwrap().to_owned()).collect();
    assert!(kinds.contains("account.created") && kinds.contains("session.started") && kinds.contains("session.ended"), "{kinds:?}");
    assert!(!kinds.iter().any(|kind| kind.starts_with("document") || kind.starts_with("webhook")), "{kinds:?}");

    // disabled: nothing is written for it
    assert_eq!(root.patch(&all.path(""), json!({ "enabled": false })).await.json()["disabled_reason"], "by_hand");
    app.create_account("bob@example.org").await;
    app.run_jobs().await;
    assert_eq!(root.deliveries(&all).await.len(), received.len());
}

#[actix_web::test]
async fn what_does_not_arrive_is_tried_again_with_growing_pauses_and_then_given_up() {
    let receiver = Receiver::start(&["127.0.0.1"]);
    let app = service(&receiver, &[("PORTCULLIS_WEBHOOK_ATTEMPTS", "4")]).await;
    let root = app.administrator().await;
    let endpoint = root.subscribe(&receiver.url(), &["account.created"]).await;
    receiver.react(Reaction::Status(500));
    assert_eq!(root.post(&endpoint.path("/test"), json!({})).await.status, 202);
    for (times, longest) in [(1, 12), (2, 48), (3, 192)] {
        let tried = root.attempted(&endpoint, times).await;
        assert_eq!((last(&tried)["outcome"].as_str(), last(&tried)["status"].as_i64()), (Some("refused"), Some(500)));
        assert_eq!(tried["state"], "waiting");
        app.run_jobs().await;
        assert_eq!(receiver.received().len(), times, "not before its time");
        app.clock.advance(Duration::seconds(longest));
        app.run_jobs().await;
    }
    let tried = root.attempted(&endpoint, 4).await;
    assert_eq!((tried["state"].as_str(), tried.get("next_attempt_at")), (Some("given_up"), None));
    app.clock.advance(Duration::DAY);
    app.run_jobs().await;
    let received = receiver.received();
    assert_eq!(received.len(), 4);
    // the same message each time, signed anew
    assert_eq!(received.iter().map(|received| &received.id).collect::<BTreeSet<_>>().len(), 1);
    assert_eq!(received.iter().map(|received| &received.timestamp).collect::<BTreeSet<_>>().len(), 4);
    assert!(received.iter().all(|received| received.is_signed_by(&endpoint.secret)));
    assert_eq!((events(&app, "webhook.delivery_failed").await, events(&app, "webhook.given_up").await), (1, 1));
}

#[actix_web::test]
async fn who_asks_for_time_gets_it_within_bounds() {
    let receiver = Receiver::start(&["127.0.0.1"]);
    let app = service(&receiver, &[]).await;
    let root = app.administrator().await;
    let endpoint = root.subscribe(&receiver.url(), &["account.created"]).await;
    for (asked, hours) in [("7200", 2), ("99999999", 12), ("Fri, 31 Dec 2100 23:59:59 GMT", 12)] {
        receiver.react(Reaction::Raw(format!("HTTP/1.1 503 x\r\nretry-after: {asked}\r\ncontent-length: 0\r\n\r\n").into_bytes()));
        assert_eq!(root.post(&endpoint.path("/test"), json!({})).await.status, 202);
        let tried = root.attempted(&endpoint, 1).await;
        let time = |value: &Value| time::OffsetDateTime::parse(value.as_str().unwrap(), &time::format_description::well_known::Rfc3339).unwrap();
        let pause = time(&tried["next_attempt_at"]) - time(&last(&tried)["at"]);
        assert_eq!(pause.whole_seconds(), hours * 3600, "{asked}");
    }
}

#[actix_web::test]
async fn who_is_gone_or_fails_for_days_is_disabled_and_its_maker_hears_of_it() {
    let receiver = Receiver::start(&["127.0.0.1"]);
    let app = service(&receiver, &[]).await;
    let root = app.administrator().await;
    let gone = root.subscribe(&receiver.url(), &["account.created"]).await;
    receiver.react(Reaction::Status(410));
    assert_eq!(root.post(&gone.path("/test"), json!({})).await.status, 202);
    assert_eq!(root.attempted(&gone, 1).await["state"], "given_up");
    let shown = root.get(&gone.path("")).await.json();
    assert_eq!((&shown["enabled"], &shown["disabled_reason"]), (&json!(false), &json!("gone")));
    app.letter_about("root@example.org", "Warehouse").await;

    let failing = root.subscribe(&receiver.url(), &["account.created"]).await;
    receiver.react(Reaction::Status(503));
    assert_eq!(root.post(&failing.path("/test"), json!({})).await.status, 202);
    root.attempted(&failing, 1).await;
    app.clock.advance(Duration::days(5) - Duration::MINUTE);
    app.run_jobs().await;
    let root = app.sign_in("root@example.org").await;
    root.attempted(&failing, 2).await;
    assert_eq!(root.get(&failing.path("")).await.json()["enabled"], true);
    app.clock.advance(Duration::HOUR);
    app.run_jobs().await;
    let root = app.sign_in("root@example.org").await;
    let shown = root.get(&failing.path("")).await.json();
    assert_eq!((&shown["enabled"], &shown["disabled_reason"]), (&json!(false), &json!("failing")));
    app.all_letters_sent().await;
    assert_eq!(app.letters_to("root@example.org").iter().filter(|letter| letter.text.contains("Warehouse")).count(), 2);
    assert_eq!(events(&app, "webhook_endpoint.disabled").await, 2);

    // what waits goes out once it is enabled again
    receiver.react(Reaction::Status(200));
    let enabled = root.patch(&failing.path(""), json!({ "enabled": true })).await.json();
    assert_eq!((&enabled["enabled"], enabled.get("failing_since")), (&json!(true), None));
    app.clock.advance(Duration::days(1));
    app.run_jobs().await;
    let root = app.sign_in("root@example.org").await;
    assert_eq!(root.deliveries(&failing).await[0]["state"], "delivered");
}

/// Who is still asked at an address that the endpoint had says nothing about the one that it has.
#[actix_web::test]
async fn what_an_old_address_answers_does_not_disable_the_new_one() {
    let receiver = Receiver::start(&["127.0.0.1"]);
    let app = service(&receiver, &[]).await;
    let root = app.administrator().await;
    let endpoint = root.subscribe(&receiver.url(), &["account.created"]).await;
    receiver.react(Reaction::Held(410));
    assert_eq!(root.post(&endpoint.path("/test"), json!({})).await.status, 202);
    receiver.wait_for(&app, 1).await;
    let moved = receiver.url().replace("/hooks", "/moved");
    assert_eq!(root.patch(&endpoint.path(""), json!({ "url": moved })).await.json()["url"], moved);
    receiver.react(Reaction::Status(204));
    let received = receiver.wait_for(&app, 2).await;
    assert_eq!(received[0].id, received[1].id);
    assert!(received[1].head[0].starts_with("POST /moved"), "{:?}", received[1].head);
    let told = root.attempted(&endpoint, 2).await;
    assert_eq!((&told["state"], &told["attempts"][0]["outcome"]), (&json!("delivered"), &json!("gone")), "{told}");
    let shown = root.get(&endpoint.path("")).await.json();
    assert_eq!((&shown["enabled"], shown.get("failing_since")), (&json!(true), None), "{shown}");
}

#[actix_web::test]
async fn keys_are_replaced_without_losing_a_message() {
    let receiver = Receiver::start(&["127.0.0.1"]);
    let app = service(&receiver, &[]).await;
    let root = app.administrator().await;
    let old = root.subscribe(&receiver.url(), &["account.created"]).await;
    let rotate = async |hours: i64| Subscribed::of(&root.post(&old.path("/rotate-secret"), json!({ "overlap_hours": hours })).await);
    let tell = async |count: usize| {
        assert_eq!(root.post(&old.path("/test"), json!({})).await.status, 202);
        receiver.wait_for(&app, count).await.pop().unwrap()
    };
    let is_by = |received: &Received, keys: &Subscribed| {
        let (secret, key) = (received.is_signed_by(&keys.secret), received.is_signed_by_key(&keys.public_key));
        assert_eq!(secret, key);
        secret
    };
    assert!(is_by(&tell(1).await, &old));
    let new = rotate(2).await;
    assert_eq!(new.id, old.id);
    let between = tell(2).await;
    assert!(is_by(&between, &old) && is_by(&between, &new));
    assert_eq!(between.signature.split(' ').count(), 4);
    // a third while the second is young: the first is gone, so that there are never more than two
    let third = rotate(2).await;
    let received = tell(3).await;
    assert!(!is_by(&received, &old) && is_by(&received, &new) && is_by(&received, &third));
    app.clock.advance(Duration::hours(2));
    app.run_jobs().await;
    let root = app.sign_in("root@example.org").await;
    assert_eq!(app.count("SELECT count(*) FROM webhook_secrets").await, 1);
    assert_eq!(root.post(&old.path("/test"), json!({})).await.status, 202);
    let received = receiver.wait_for(&app, 4).await.pop().unwrap();
    assert!(!is_by(&received, &new) && is_by(&received, &third));
    // at once
    let fourth = Subscribed::of(&root.post(&old.path("/rotate-secret"), json!({ "overlap_hours": 0 })).await);
    assert_eq!(root.post(&old.path("/test"), json!({})).await.status, 202);
    let received = receiver.wait_for(&app, 5).await.pop().unwrap();
    assert!(!is_by(&received, &third) && is_by(&received, &fourth));
}

#[actix_web::test]
async fn old_keys_that_do_not_open_take_no_message_from_the_current_ones() {
    let receiver = Receiver::start(&["127.0.0.1"]);
    let app = service(&receiver, &[]).await;
    let root = app.administrator().await;
    let old = root.subscribe(&receiver.url(), &["account.created"]).await;
    let new = Subscribed::of(&root.post(&old.path("/rotate-secret"), json!({ "overlap_hours": 24 })).await);
    // as after `portcullis keys revoke webhook_secret`
    let spoil = async |which: &str| {
        let spoilt = format!("UPDATE webhook_secrets SET sealed = '\\x00' WHERE ends_at IS {which}");
        sqlx::query(sqlx::AssertSqlSafe(spoilt)).execute(&app.database.pool).await.unwrap();
    };
    spoil("NOT NULL").await;
    assert_eq!(root.post(&old.path("/test"), json!({})).await.status, 202);
    let received = receiver.wait_for(&app, 1).await.pop().unwrap();
    assert!(received.is_signed_by(&new.secret) && received.is_signed_by_key(&new.public_key) && !received.is_signed_by(&old.secret));
    // without the current ones nothing goes out, which is no fault of the endpoint
    spoil("NULL").await;
    assert_eq!(root.post(&old.path("/test"), json!({})).await.status, 202);
    assert_eq!(last(&root.attempted(&old, 1).await)["outcome"], "unsigned");
    let shown = root.get(&old.path("")).await.json();
    assert_eq!((&shown["enabled"], shown.get("failing_since")), (&json!(true), None), "{shown}");
    assert_eq!(receiver.received().len(), 1);
}

#[actix_web::test]
async fn what_was_missed_is_sent_again() {
    let receiver = Receiver::start(&["127.0.0.1"]);
    let app = service(&receiver, &[("PORTCULLIS_WEBHOOK_ATTEMPTS", "1")]).await;
    let root = app.administrator().await;
    let endpoint = root.subscribe(&receiver.url(), &["account.created"]).await;
    let since = app.clock.now();
    receiver.react(Reaction::Status(500));
    for n in 1..=3 {
        assert_eq!(root.post(&endpoint.path("/test"), json!({})).await.status, 202);
        app.wait_for("it to be given up", async || {
            let log = root.deliveries(&endpoint).await;
            (log.len() == n && log.iter().all(|delivery| delivery["state"] == "given_up")).then_some(())
        })
        .await;
    }
    receiver.react(Reaction::Status(200));
    let first = root.deliveries(&endpoint).await.pop().unwrap();
    let again = root.post(&format!("/v1/webhooks/deliveries/{}/replay", first["id"].as_str().unwrap()), json!({})).await;
    assert_eq!((again.status.as_u16(), again.json()["state"].as_str()), (202, Some("waiting")), "{}", again.text);
    let received = receiver.wait_for(&app, 4).await;
    assert_eq!((received[3].id.as_str(), received[3].sequence()), (received[0].id.as_str(), 1));
    app.wait_for("it to be noted", async || (root.deliveries(&endpoint).await.pop().unwrap()["state"] == "delivered").then_some(())).await;

    let since = since.format(&time::format_description::well_known::Rfc3339).unwrap();
    let again = root.post(&endpoint.path("/replay"), json!({ "since": since, "only_given_up": true })).await;
    assert_eq!(again.json(), json!({ "count": 2, "last_sequence": 3, "more": false }));
    receiver.wait_for(&app, 6).await;
    app.wait_for("all to arrive", async || root.deliveries(&endpoint).await.iter().all(|delivery| delivery["state"] == "delivered").then_some(()))
        .await;
    let again = root.post(&endpoint.path("/replay"), json!({ "since": since })).await;
    assert_eq!(again.json()["count"], 3);
    receiver.wait_for(&app, 9).await;
    let later = (app.clock.now() + Duration::HOUR).format(&time::format_description::well_known::Rfc3339).unwrap();
    assert_eq!(root.post(&endpoint.path("/replay"), json!({ "since": later })).await.json(), json!({ "count": 0, "more": false }));
}

#[actix_web::test]
async fn one_slow_endpoint_holds_up_no_other() {
    let (slow, fast) = (Receiver::start(&["127.0.0.1"]), Receiver::start(&["127.0.0.1"]));
    let authorities = tempfile::NamedTempFile::new().unwrap();
    let both = [&slow, &fast].map(|receiver| std::fs::read_to_string(receiver.authority()).unwrap()).concat();
    std::fs::write(authorities.path(), both).unwrap();
    let path = authorities.path().to_str().unwrap();
    let app = TestApp::with(&[
        ("PORTCULLIS_WEBHOOK_NETWORKS", "127.0.0.0/8"),
        ("PORTCULLIS_WEBHOOK_CA_FILE", path),
        ("PORTCULLIS_WEBHOOK_TIMEOUT_SECONDS", "30"),
    ])
    .await;
    let root = app.administrator().await;
    slow.react(Reaction::Silence);
    let hanging = root.subscribe(&slow.url(), &["account.created"]).await;
    let listening = root.subscribe(&fast.url(), &["account.created"]).await;
    let tell = async |endpoint: &Subscribed| assert_eq!(root.post(&endpoint.path("/test"), json!({})).await.status, 202);
    for _ in 0..40 {
        tell(&hanging).await;
    }
    app.wait_for("it to hang", async || (slow.connections() >= 4).then_some(())).await;
    for _ in 0..20 {
        tell(&listening).await;
    }
    fast.wait_for(&app, 20).await;
    assert_eq!(slow.connections(), 4, "it has no more places than these");
}

/// In one transaction, out of sight of the jobs.
#[actix_web::test]
async fn a_backlog_of_some_endpoints_takes_no_place_that_another_needs() {
    let app = TestApp::start().await;
    let (now, mut transaction) = (app.clock.now(), app.database.pool.begin().await.unwrap());
    let backlogs = [(1, 10), (2, 10), (3, 1)];
    for (endpoint, messages) in backlogs {
        let (id, since) = (Uuid::from_u128(endpoint), now - Duration::HOUR + Duration::minutes(i64::try_from(endpoint).unwrap()));
        let made = "INSERT INTO webhook_endpoints (id, name, url, created_at) VALUES ($1, 'x', 'https://hooks.example/', $2)";
        sqlx::query(made).bind(id).bind(since).execute(&mut *transaction).await.unwrap();
        let due = "INSERT INTO webhook_deliveries (id, endpoint_id, sequence, event, payload, created_at, due_at)
                   SELECT gen_random_uuid(), $1, n, 'account.created', '{}', $2, $2 FROM generate_series(1, $3) n";
        sqlx::query(due).bind(id).bind(since).bind(messages).execute(&mut *transaction).await.unwrap();
    }
    let mut claim = async |most: i64| {
        let claimed = store::claim(&mut transaction, now, most).await.unwrap();
        let mut of: Vec<u128> = claimed.iter().map(|message| message.endpoint_id.as_u128()).collect();
        of.sort_unstable();
        of
    };
    assert_eq!(claim(3).await, [1, 2, 3], "one of each, whatever is due longest");
    assert_eq!(claim(1).await, [1], "then what is due longest");
    assert_eq!(claim(1).await, [2], "of which fewer are under way");
    assert_eq!(claim(32).await, [1, 1, 2, 2], "four of each");
}

#[actix_web::test]
async fn there_are_so_many_endpoints_and_old_messages_go() {
    let receiver = Receiver::start(&["127.0.0.1"]);
    let app = service(&receiver, &[("PORTCULLIS_WEBHOOK_ENDPOINTS", "2"), ("PORTCULLIS_WEBHOOK_LOG_DAYS", "1")]).await;
    let root = app.administrator().await;
    let body = || json!({ "name": "Warehouse", "url": receiver.url(), "events": ["account.created"] });
    let requests = (0..4).map(|_| crate::support::app::Answer::of(root.request(Method::POST, "/v1/webhooks/endpoints").json(&body())));
    let answers = futures_util::future::join_all(requests).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 2);
    assert!(answers.iter().filter(|answer| answer.status != 201).all(|answer| answer.code() == "TOO_MANY"));

    let page = root.get("/v1/webhooks/endpoints?limit=1").await.json();
    let next = root.get(&format!("/v1/webhooks/endpoints?limit=1&cursor={}", page["next_cursor"].as_str().unwrap())).await.json();
    assert_ne!(page["items"][0]["id"], next["items"][0]["id"]);
    let endpoint = Subscribed { id: page["items"][0]["id"].as_str().unwrap().into(), secret: String::new(), public_key: String::new() };
    assert_eq!(root.post(&endpoint.path("/test"), json!({})).await.status, 202);
    root.attempted(&endpoint, 1).await;
    // what waits for its endpoint to be enabled stays
    let waiting = "INSERT INTO webhook_deliveries (id, endpoint_id, sequence, event, payload, created_at, due_at)
                   SELECT gen_random_uuid(), id, 1, 'account.created', '{}', $2, $2 FROM webhook_endpoints WHERE id <> $1::uuid";
    let other = format!("/v1/webhooks/endpoints/{}", next["items"][0]["id"].as_str().unwrap());
    let disabled = root.patch(&other, json!({ "enabled": false })).await;
    assert_eq!(disabled.status, 200, "{}", disabled.text);
    sqlx::query(waiting).bind(&endpoint.id).bind(app.clock.now()).execute(&app.database.pool).await.unwrap();
    app.clock.advance(Duration::days(1) + Duration::MINUTE);
    app.run_jobs().await;
    assert_eq!(app.count("SELECT count(*) FROM webhook_deliveries WHERE state = 'waiting'").await, 1);
    assert_eq!(
        app.count("SELECT (SELECT count(*) FROM webhook_deliveries WHERE state <> 'waiting') + (SELECT count(*) FROM webhook_attempts)").await,
        0
    );

    // numbers go on
    let root = app.sign_in("root@example.org").await;
    assert_eq!(root.post(&endpoint.path("/test"), json!({})).await.json()["sequence"], 2);
    assert_eq!(root.patch(&endpoint.path(""), json!({ "events": ["document.created"] })).await.status, 422);
    assert_eq!(root.patch(&endpoint.path(""), json!({ "events": null, "name": "All" })).await.json()["events"], Value::Null);
    assert_eq!(root.delete(&endpoint.path("")).await.status, 204);
    assert_eq!(root.get(&endpoint.path("/deliveries")).await.status, 404);
}
