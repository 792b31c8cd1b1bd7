//! A key was leaked: in a repository, a log, a backup. It is used from elsewhere, for more, and after its end.

use crate::support::{
    app::{Answer, TestApp},
    machines::{Machine, wanted},
};
use futures_util::StreamExt;
use reqwest::{Body, Method};
use serde_json::json;
use time::Duration;
use tokio::sync::oneshot;

const ROUTE: &str = "/v1/users";

async fn from(machine: &Machine<'_>, address: &str) -> Answer {
    Answer::of(machine.actor.request(Method::GET, ROUTE).header("x-forwarded-for", address)).await
}

#[actix_web::test]
async fn a_key_for_some_networks_is_worth_nothing_elsewhere() {
    let app = TestApp::with(&[("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1/32")]).await;
    let root = app.administrator().await;
    let body = json!({ "name": "runner", "scopes": ["users:read"], "networks": ["203.0.113.0/24", "2001:db8::/32"] });
    let machine = app.machine(&root.post("/v1/me/api-keys", body).await);
    for inside in ["203.0.113.7", "203.0.113.7:4711", "::ffff:203.0.113.7", "2001:db8:1::1", "198.51.100.7, 203.0.113.7"] {
        assert_eq!(from(&machine, inside).await.status, 200, "{inside}");
    }
    for outside in ["198.51.100.7", "203.0.114.1", "2001:db9::1", "203.0.113.7, 198.51.100.7", "rubbish", ""] {
        let answer = from(&machine, outside).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "INVALID_TOKEN"), "{outside}");
        assert_eq!(answer.told(), app.holder("nonsense").get(ROUTE).await.told(), "nobody learns why");
    }
    // a proxy that does not say who asked is in no network, its own neither
    let body = json!({ "name": "inner", "scopes": ["users:read"], "networks": ["127.0.0.0/8"] });
    let inner = app.machine(&root.post("/v1/me/api-keys", body).await);
    assert_eq!(inner.actor.get(ROUTE).await.code(), "INVALID_TOKEN");
    assert_eq!(from(&inner, "unknown").await.code(), "INVALID_TOKEN");
    assert_eq!(from(&inner, "127.0.0.2").await.status, 200);
    // the same key at a service that trusts no proxy: the header is only text
    let direct = app.node_with(&[]).await;
    let there = Machine { id: machine.id.clone(), key: machine.key.clone(), actor: direct.holder(&machine.key) };
    assert_eq!(from(&there, "203.0.113.7").await.code(), "INVALID_TOKEN");
}

#[actix_web::test]
async fn networks_that_are_none_are_refused() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    for networks in [
        json!([]),
        json!(["203.0.113.7"]),
        json!(["::ffff:203.0.113.0/120"]),
        json!(["203.0.113.7/24"]),
        json!(["203.0.113.0/33"]),
        json!(["localhost/8"]),
        json!([""]),
        json!(vec!["203.0.113.0/24"; 21]),
    ] {
        let answer = root.post("/v1/me/api-keys", json!({ "name": "x", "scopes": ["users:read"], "networks": networks })).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "INVALID"), "{networks}: {}", answer.text);
    }
    assert_eq!(app.count("SELECT count(*) FROM api_keys").await, 0);
}

#[actix_web::test]
async fn a_revoked_key_is_worth_nothing_at_once_on_every_node() {
    let app = TestApp::start().await;
    let other = app.node(None).await;
    let root = app.administrator().await;
    let machine = root.api_key(&["users:read"]).await;
    let there = other.holder(&machine.key);
    for _ in 0..3 {
        assert_eq!(there.get(ROUTE).await.status, 200);
    }
    assert_eq!(root.delete(&format!("/v1/me/api-keys/{}", machine.id)).await.status, 204);
    assert_eq!(there.get(ROUTE).await.code(), "INVALID_TOKEN", "no cache outlives it");
    assert_eq!(machine.actor.get(ROUTE).await.code(), "INVALID_TOKEN");
    assert_eq!(root.delete(&format!("/v1/me/api-keys/{}", machine.id)).await.code(), "NOT_FOUND", "once");

    // with its service account, too
    let service = app.service_account(&root, &["auditor"], &["users:read"]).await;
    let (there, path) = (other.holder(&service.machine.key), format!("/v1/service-accounts/{}/disabled", service.id));
    assert_eq!(there.get(ROUTE).await.status, 200);
    assert_eq!(root.put(&path, json!({ "disabled": true })).await.json()["status"], "disabled");
    assert_eq!(there.get(ROUTE).await.code(), "INVALID_TOKEN");
    assert_eq!(root.put(&path, json!({ "disabled": false })).await.status, 200);
    assert_eq!(there.get(ROUTE).await.status, 200, "it was not revoked");
    assert_eq!(root.delete(&format!("/v1/service-accounts/{}", service.id)).await.status, 204);
    assert_eq!(there.get(ROUTE).await.code(), "INVALID_TOKEN");
    assert_eq!(app.count("SELECT count(*) FROM api_keys WHERE revoked_at IS NULL").await, 0, "its keys went with it");
}

#[actix_web::test]
async fn a_key_ends_with_its_time_and_with_its_overlap() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let make =
        async |days: i64| app.machine(&root.post("/v1/me/api-keys", json!({ "name": "x", "scopes": ["users:read"], "expires_in_days": days })).await);
    let (short, long) = (make(1).await, make(30).await);
    let rotate = async |id: &str, body| root.post(&format!("/v1/me/api-keys/{id}/rotate"), body).await;
    let successor = app.machine(&rotate(&long.id, json!({ "overlap_hours": 2 })).await);
    assert_eq!(rotate(&long.id, json!({})).await.code(), "NOT_FOUND", "a key is replaced once: else one key becomes many");
    for machine in [&short, &long, &successor] {
        assert_eq!(machine.actor.get(ROUTE).await.status, 200);
    }
    app.clock.advance(Duration::hours(2));
    assert_eq!(long.actor.get(ROUTE).await.code(), "INVALID_TOKEN", "the overlap is over");
    assert_eq!(short.actor.get(ROUTE).await.status, 200);
    app.clock.advance(Duration::hours(22));
    assert_eq!(short.actor.get(ROUTE).await.code(), "INVALID_TOKEN", "its time is over");
    assert_eq!(successor.actor.get(ROUTE).await.status, 200);

    let root = app.sign_in("root@example.org").await;
    let rotate = async |id: &str, body| root.post(&format!("/v1/me/api-keys/{id}/rotate"), body).await;
    for overlap in [json!(-1), json!(169), json!("1"), json!(1.5)] {
        assert_eq!(rotate(&successor.id, json!({ "overlap_hours": overlap })).await.code(), "INVALID", "{overlap}");
    }
    let last = app.machine(&rotate(&successor.id, json!({ "overlap_hours": 0 })).await);
    assert_eq!(successor.actor.get(ROUTE).await.code(), "INVALID_TOKEN", "at once");
    assert_eq!(last.actor.get(ROUTE).await.status, 200);
    let life: i64 = app.count("SELECT extract(days FROM max(expires_at) - now())::bigint FROM api_keys").await;
    assert!((29..=31).contains(&life), "a successor lives as long as the first was made for, not for ever: {life}");
}

#[actix_web::test]
async fn no_key_lives_longer_than_the_settings_say_and_there_are_not_too_many() {
    let app = TestApp::with(&[("PORTCULLIS_API_KEY_DAYS", "10")]).await;
    let root = app.administrator().await;
    for days in [0, 11, 731] {
        let answer = root.post("/v1/me/api-keys", json!({ "name": "x", "scopes": ["users:read"], "expires_in_days": days })).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "INVALID"), "{days}");
    }
    root.api_key(&["users:read"]).await;
    assert_eq!(app.count("SELECT count(*) FROM api_keys WHERE expires_at <= created_at + interval '10 days'").await, 1, "also where nobody says");
    let more = "INSERT INTO api_keys (id, user_id, name, digest, key_version, created_at, expires_at)
                SELECT gen_random_uuid(), user_id, name, digest, key_version, created_at, expires_at FROM api_keys, generate_series(1, 49)";
    assert_eq!(app.runs(more).await.unwrap(), 49);
    let answer = root.post("/v1/me/api-keys", wanted(&["users:read"])).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (409, "TOO_MANY"));
    assert_eq!(root.get("/v1/me/api-keys").await.json()["items"].as_array().unwrap().len(), 50);
    // one that leaked can be replaced all the same
    let leaked = root.get("/v1/me/api-keys").await.json()["items"][49]["id"].as_str().unwrap().to_owned();
    let rotate = format!("/v1/me/api-keys/{leaked}/rotate");
    assert_eq!(root.post(&rotate, json!({ "overlap_hours": 1 })).await.code(), "TOO_MANY");
    assert_eq!(root.post(&rotate, json!({ "overlap_hours": 0 })).await.status, 201);
}

/// A body that is held back until the key was revoked comes too late.
#[actix_web::test]
async fn a_call_that_outlives_its_key_changes_nothing() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    let machine = ada.api_key(&["documents:write"]).await;
    for is_revoked in [false, true] {
        app.clock.advance(Duration::minutes(2));
        app.runs("UPDATE api_keys SET last_used_at = NULL").await.unwrap();
        let (go_on, held_back) = oneshot::channel();
        let start = futures_util::stream::iter([Ok::<_, std::io::Error>("{\"title\":".to_owned())]);
        let end = futures_util::stream::once(async move { Ok(held_back.await.unwrap()) });
        let call = machine.actor.request(Method::POST, "/v1/documents").header("content-type", "application/json");
        let call = actix_web::rt::spawn(call.body(Body::wrap_stream(start.chain(end))).send());
        app.wait_for("the call to be let in", async || {
            app.marks_of_use_written().await;
            (app.count("SELECT count(*) FROM api_keys WHERE last_used_at IS NOT NULL").await == 1).then_some(())
        })
        .await;
        if is_revoked {
            assert_eq!(ada.delete(&format!("/v1/me/api-keys/{}", machine.id)).await.status, 204);
        }
        app.clock.advance(Duration::seconds(2));
        go_on.send("\"Plan\",\"body\":\"x\",\"classification\":\"internal\"}".to_owned()).unwrap();
        let answer = call.await.unwrap().unwrap();
        assert_eq!(answer.status(), if is_revoked { 401 } else { 201 }, "{}", answer.text().await.unwrap());
    }
    assert_eq!(app.count("SELECT count(*) FROM documents").await, 1);
}
