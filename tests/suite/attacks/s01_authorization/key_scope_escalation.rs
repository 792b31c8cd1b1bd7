//! Somebody makes more of an API key than they have: scopes that they do not hold, or not for so long, or hold with a second factor only;
//! scopes that outlive the role; calls beyond the scope; and other people's keys.

use crate::support::{
    app::{Answer, TestApp},
    machines::{Machine, wanted},
    operations::operations,
};
use portcullis::access::permission::Permission;
use serde_json::json;
use time::{Duration, format_description::well_known::Rfc3339};

#[actix_web::test]
async fn a_call_beyond_the_scope_is_refused_whatever_the_account_may_do() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let mut walked = 0;
    for operation in operations() {
        let is_for_keys = operation.value["security"].as_array().unwrap().iter().any(|scheme| scheme.get("api_key").is_some());
        let about = operation.value["description"].as_str().unwrap_or_default();
        let needed = about.split("Needs the permission `").nth(1).and_then(|rest| rest.split('`').next());
        let Some(needed) = needed.filter(|_| is_for_keys) else { continue };
        walked += 1;
        let call = async |machine: &Machine<'_>| {
            let request = machine.actor.request(operation.method.clone(), &operation.url());
            Answer::of(operation.body().iter().fold(request, |request, body| request.json(body))).await
        };
        let others: Vec<&str> = Permission::ALL.iter().map(|known| known.name()).filter(|name| *name != needed).collect();
        let (without, with) = (root.api_key(&others).await, root.api_key(&[needed]).await);
        let refused = call(&without).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (403, "FORBIDDEN"), "{}", operation.name());
        let let_in = call(&with).await;
        assert!(let_in.status != 401 && !(let_in.status == 403 && operation.method.is_safe()), "{}: {}", operation.name(), let_in.text);
        app.runs("UPDATE api_keys SET revoked_at = now()").await.unwrap();
        app.runs("DELETE FROM quota_windows").await.unwrap();
    }
    assert!(walked >= 16, "{walked}");
}

#[actix_web::test]
async fn a_scope_is_worth_what_the_account_holds_at_that_moment() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let ada = app.member_with("ada@example.org", "auditor").await;
    let key = ada.api_key(&["users:read", "audit:read"]).await;
    let path = format!("/v1/users/{}/roles", app.id_of("ada@example.org").await);
    let roles = |names: &[&str]| json!({ "roles": names.iter().map(|name| json!({ "role": name })).collect::<Vec<_>>() });
    assert_eq!(key.actor.get("/v1/users").await.status, 200);
    app.role("reader", &["users:read"]).await;
    assert_eq!(root.put(&path, roles(&["reader"])).await.status, 200);
    assert_eq!(key.actor.get("/v1/users").await.status, 200);
    assert_eq!(key.actor.get("/v1/audit/events").await.code(), "FORBIDDEN", "with the next call");
    // more than before is not more for the key
    assert_eq!(root.put(&path, roles(&["administrator"])).await.status, 200);
    assert_eq!(key.actor.get("/v1/audit/events").await.status, 200);
    assert_eq!(key.actor.get("/v1/invitations").await.code(), "FORBIDDEN");

    // a role that counts with a second factor only: no key shows one, and none is asked for it
    app.runs("UPDATE roles SET requires_second_factor = true WHERE name = 'administrator'").await.unwrap();
    let answer = key.actor.get("/v1/audit/events").await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "FORBIDDEN"), "{}", answer.text);
    assert_eq!(root.get("/v1/audit/events").await.code(), "STEP_UP_REQUIRED", "a person is");
}

#[actix_web::test]
async fn nobody_makes_a_key_that_may_do_more_than_they_or_for_longer() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    app.role("reader", &["users:read"]).await;
    let ada = app.member_with("ada@example.org", "reader").await;
    for (scopes, expected) in [
        (json!(["audit:read"]), (403, "FORBIDDEN")),
        (json!(["users:read", "users:manage"]), (403, "FORBIDDEN")),
        (json!(Permission::ALL.iter().map(|one| one.name()).collect::<Vec<_>>()), (403, "FORBIDDEN")),
        (json!(["users:*"]), (422, "INVALID")),
        (json!(["USERS:READ"]), (422, "INVALID")),
        (json!([]), (422, "INVALID")),
        (json!("users:read"), (422, "INVALID")),
    ] {
        let answer = ada.post("/v1/me/api-keys", json!({ "name": "x", "scopes": scopes })).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), expected, "{scopes}: {}", answer.text);
    }

    let end = (app.clock.now() + Duration::days(10)).format(&Rfc3339).unwrap();
    let path = format!("/v1/users/{}/roles", app.id_of("ada@example.org").await);
    assert_eq!(root.put(&path, json!({ "roles": [{ "role": "reader", "expires_at": end }] })).await.status, 200);
    let lasting = |days: i64| json!({ "name": "x", "scopes": ["users:read"], "expires_in_days": days });
    assert_eq!(ada.post("/v1/me/api-keys", lasting(11)).await.code(), "FORBIDDEN", "a right that ends makes none that lasts");
    let key = app.machine(&ada.post("/v1/me/api-keys", lasting(9)).await);
    // nor by replacing it on its last day
    app.clock.advance(Duration::days(5));
    let ada = app.sign_in("ada@example.org").await;
    let rotated = ada.post(&format!("/v1/me/api-keys/{}/rotate", key.id), json!({})).await;
    assert_eq!(rotated.code(), "FORBIDDEN", "{}", rotated.text);
    assert_eq!(key.actor.get("/v1/users").await.status, 200, "and it stays as it was");

    app.runs("UPDATE user_roles SET expires_at = NULL").await.unwrap();
    app.runs("UPDATE roles SET requires_second_factor = true WHERE name = 'reader'").await.unwrap();
    let mut ada = ada;
    ada.add_totp().await;
    assert_eq!(ada.get("/v1/users").await.status, 200);
    assert_eq!(ada.post("/v1/me/api-keys", wanted(&["users:read"])).await.code(), "FORBIDDEN", "what counts with a second factor only");
}

#[actix_web::test]
async fn other_peoples_keys_are_not_there() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let ada = app.member_with("ada@example.org", "auditor").await;
    let (own, hers) = (root.api_key(&["users:read"]).await, ada.api_key(&["users:read"]).await);
    let (one, other) =
        (app.service_account(&root, &["auditor"], &["users:read"]).await, app.service_account(&root, &["auditor"], &["users:read"]).await);
    let account = app.id_of("ada@example.org").await;
    for id in [&hers.id, &one.machine.id, &one.id, &account] {
        for answer in [
            root.delete(&format!("/v1/me/api-keys/{id}")).await,
            root.post(&format!("/v1/me/api-keys/{id}/rotate"), json!({})).await,
            root.delete(&format!("/v1/service-accounts/{}/keys/{id}", other.id)).await,
            root.post(&format!("/v1/service-accounts/{}/keys/{id}/rotate", other.id), json!({})).await,
            root.delete(&format!("/v1/service-accounts/{account}/keys/{id}")).await,
        ] {
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "NOT_FOUND"), "{id}: {}", answer.text);
        }
    }
    let listed = root.get("/v1/me/api-keys").await;
    assert!(listed.text.contains(&own.id) && !listed.text.contains(&hers.id) && !listed.text.contains(&one.machine.id), "{}", listed.text);
    for machine in [&own, &hers, &one.machine, &other.machine] {
        assert_eq!(machine.actor.get("/v1/users").await.status, 200, "all as before");
    }
}
