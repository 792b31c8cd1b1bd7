//! Service accounts as a way to more: somebody gives one what they do not hold, acts through one that holds more, or makes a person of one to
//! sign in as it; reaches one through routes that are about people; and hides behind one as the last administrator.

use crate::support::{
    app::{Actor, Answer, PASSWORD, TestApp},
    machines::wanted,
    operations::operations,
};
use reqwest::Method;
use serde_json::json;
use time::Duration;

#[actix_web::test]
async fn nobody_gives_a_service_account_what_they_do_not_hold_or_acts_on_one_that_holds_more() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    app.role("steward", &["service_accounts:manage", "users:read"]).await;
    app.role("reader", &["users:read"]).await;
    let mallory = app.member_with("mallory@example.org", "steward").await;
    app.runs("INSERT INTO user_roles SELECT id, 'reader', NULL, now() FROM users WHERE email = 'mallory@example.org'").await.unwrap();
    let above = app.service_account(&root, &["auditor"], &["users:read", "audit:read"]).await;
    let roles = |names: &[&str]| json!({ "roles": names.iter().map(|name| json!({ "role": name })).collect::<Vec<_>>() });
    let at = |rest: &str| format!("/v1/service-accounts/{}{rest}", above.id);

    let made = mallory.post("/v1/service-accounts", json!({ "name": "x", "roles": ["auditor"] })).await;
    assert_eq!((made.status.as_u16(), made.code().as_str()), (403, "FORBIDDEN"));
    for answer in [
        mallory.put(&at("/roles"), roles(&[])).await,
        mallory.put(&at("/roles"), roles(&["reader"])).await,
        mallory.put(&at("/disabled"), json!({ "disabled": true })).await,
        mallory.post(&at("/keys"), wanted(&["users:read"])).await,
        mallory.post(&at(&format!("/keys/{}/rotate", above.machine.id)), json!({})).await,
        mallory.delete(&at(&format!("/keys/{}", above.machine.id))).await,
        mallory.delete(&at("")).await,
    ] {
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "FORBIDDEN"), "{}", answer.text);
    }
    assert_eq!(above.machine.actor.get("/v1/audit/events").await.status, 200, "as it was");
    assert_eq!(app.count("SELECT count(*) FROM users WHERE kind = 'service'").await, 1, "no half account");

    // what they may, they may; and a key has neither more than the account nor more than they
    let own = app.service_account(&mallory, &["reader"], &["users:read"]).await;
    assert_eq!(own.machine.actor.get("/v1/users").await.status, 200);
    assert_eq!(own.machine.actor.get("/v1/audit/events").await.code(), "FORBIDDEN");
    let keys = format!("/v1/service-accounts/{}/keys", own.id);
    assert_eq!(mallory.post(&keys, wanted(&["service_accounts:manage"])).await.code(), "FORBIDDEN", "the account does not hold it");
    assert_eq!(mallory.post(&keys, wanted(&["audit:read"])).await.code(), "FORBIDDEN");
    assert_eq!(root.post(&keys, wanted(&["audit:read"])).await.code(), "FORBIDDEN", "root does, the account does not");
    let answer = mallory.put(&format!("/v1/service-accounts/{}/roles", own.id), roles(&["reader", "auditor"])).await;
    assert_eq!(answer.code(), "FORBIDDEN");
}

/// Departments and roles open documents, whatever permissions they bring.
#[actix_web::test]
async fn nobody_gets_into_a_department_or_a_role_by_a_service_account() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    app.role("steward", &["service_accounts:manage"]).await;
    app.role("board", &[]).await;
    let mallory = app.member_with("mallory@example.org", "steward").await;
    app.place("mallory@example.org", "Sales").await;
    let grace = app.colleague("grace@example.org", "Finance").await;
    let id = grace.document("internal", Some("Finance")).await;
    assert_eq!(grace.share(&id, "editor_roles", "board").await.status, 200);
    let make = |by: &Actor<'_>, department: Option<&str>, roles: &[&str]| {
        Answer::of(by.request(Method::POST, "/v1/service-accounts").json(&json!({ "name": "spy", "department": department, "roles": roles })))
    };
    for (department, roles) in [(Some("Finance"), &["member"][..]), (None, &["member", "board"]), (Some("Sales"), &["board"])] {
        assert_eq!(make(&mallory, department, roles).await.code(), "FORBIDDEN", "{department:?} {roles:?}");
    }
    let own = make(&mallory, Some("Sales"), &["member"]).await;
    assert_eq!(own.status, 201, "{}", own.text);
    let own = format!("/v1/service-accounts/{}", own.json()["id"].as_str().unwrap());
    let board = json!({ "roles": [{ "role": "member" }, { "role": "board" }] });
    assert_eq!(mallory.put(&format!("{own}/roles"), board).await.code(), "FORBIDDEN");
    // nor by one that is there already
    for (department, roles) in [(Some("Finance"), &["member"][..]), (None, &["member", "board"])] {
        let theirs = make(&root, department, roles).await.json()["id"].as_str().unwrap().to_owned();
        let at = |rest: &str| format!("/v1/service-accounts/{theirs}{rest}");
        let key = app.machine(&root.post(&at("/keys"), wanted(&["documents:read"])).await);
        assert_eq!(key.actor.get(&format!("/v1/documents/{id}")).await.status, 200, "what there would be to get");
        assert_eq!(mallory.post(&at("/keys"), wanted(&["documents:read"])).await.code(), "FORBIDDEN");
        assert_eq!(mallory.post(&at(&format!("/keys/{}/rotate", key.id)), json!({})).await.code(), "FORBIDDEN");
    }
}

#[actix_web::test]
async fn whoever_may_not_manage_them_does_not_see_them() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let service = app.service_account(&root, &["auditor"], &["users:read"]).await;
    let all_others: Vec<&str> =
        portcullis::access::permission::Permission::ALL.iter().map(|one| one.name()).filter(|name| *name != "service_accounts:manage").collect();
    app.role("others", &all_others).await;
    let mallory = app.member_with("mallory@example.org", "others").await;
    for path in ["/v1/service-accounts".into(), format!("/v1/service-accounts/{}", service.id), format!("/v1/service-accounts/{}/keys", service.id)] {
        assert_eq!(mallory.get(&path).await.code(), "FORBIDDEN", "{path}");
    }
    let listed = mallory.get("/v1/users?limit=100").await;
    assert!(listed.status == 200 && !listed.text.contains(&service.id), "{}", listed.text);
    // nor does a key of one change any, itself least of all
    let manager = app.service_account(&root, &["administrator"], &["service_accounts:manage"]).await;
    assert_eq!(manager.machine.actor.get("/v1/service-accounts").await.status, 200);
    for (method, path) in [
        (Method::POST, format!("/v1/service-accounts/{}/keys", manager.id)),
        (Method::PUT, format!("/v1/service-accounts/{}/roles", manager.id)),
        (Method::DELETE, format!("/v1/service-accounts/{}", service.id)),
    ] {
        assert_eq!(Answer::of(manager.machine.actor.request(method, &path).json(&json!({}))).await.code(), "FORBIDDEN", "{path}");
    }
}

#[actix_web::test]
async fn routes_about_people_find_no_service_account_and_the_other_way_round() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let service = app.service_account(&root, &["auditor"], &["users:read"]).await;
    app.create_account("ada@example.org").await;
    let ada = app.id_of("ada@example.org").await;
    let mut walked = 0;
    for operation in operations() {
        let id = if operation.path.starts_with("/v1/users/{id}") {
            &service.id
        } else if operation.path.starts_with("/v1/service-accounts/{id}") {
            &ada
        } else {
            continue;
        };
        walked += 1;
        let path = operation.path.replace("{id}", id).replace("{key}", &service.machine.id);
        let request = root.request(operation.method.clone(), &path);
        let body = match operation.path.rsplit('/').next() {
            Some("keys") => Some(wanted(&["users:read"])),
            Some("rotate") => Some(json!({})),
            _ => operation.body(),
        };
        let answer = Answer::of(body.iter().fold(request, |request, body| request.json(body))).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "NOT_FOUND"), "{}: {}", operation.name(), answer.text);
    }
    assert!(walked >= 14, "{walked}");
    assert_eq!(service.machine.actor.get("/v1/users").await.status, 200, "it is as it was");
    assert_eq!(app.count("SELECT count(*) FROM api_keys").await, 1);
    // nor does it stand in for a person elsewhere
    let share = root.get("/v1/users?role=auditor").await;
    assert_eq!(share.json()["items"].as_array().unwrap().len(), 0);
}

/// Whoever can send SQL as the service makes no person of one: there is no way to sign in as it, and no mailbox to write to.
#[actix_web::test]
async fn the_database_itself_has_no_place_for_a_service_accounts_password_session_or_letter() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let id = app.service_account(&root, &["administrator"], &["users:read"]).await.id;
    let digest = format!("sha256('{id}')");
    for sql in [
        format!("UPDATE users SET email = 'machine@example.org' WHERE id = '{id}'"),
        format!("UPDATE users SET kind = 'person', email = 'machine@example.org' WHERE id = '{id}'"),
        "UPDATE users SET kind = 'service', email = NULL WHERE email = 'root@example.org'".into(),
        "UPDATE users SET email = NULL WHERE email = 'root@example.org'".into(),
        format!("UPDATE users SET status = 'closing', erase_at = now() WHERE id = '{id}'"),
        format!("UPDATE users SET last_signed_in_at = now() WHERE id = '{id}'"),
        format!("INSERT INTO passwords SELECT '{id}', phc, pepper_version, now() FROM passwords"),
        format!("UPDATE passwords SET user_id = '{id}'"),
        format!("UPDATE sessions SET user_id = '{id}'"),
        format!(
            "INSERT INTO sessions (id, user_id, transport, assurance, authenticated_at, started_at, last_seen_at, idle_expires_at, absolute_expires_at)
             VALUES (gen_random_uuid(), '{id}', 'token', 1, now(), now(), now(), now(), now())"
        ),
        format!("INSERT INTO totp (user_id, seed_sealed, seed_key_version, created_at) VALUES ('{id}', '', 1, now())"),
        format!("INSERT INTO recovery_codes (user_id, digest, key_version, created_at) VALUES ('{id}', {digest}, 1, now())"),
        format!("INSERT INTO identities (id, user_id, issuer, subject, linked_at) VALUES (gen_random_uuid(), '{id}', 'i', 's', now())"),
        format!(
            "INSERT INTO passkeys (id, user_id, name, credential_digest, key_version, sealed, counter, is_backed_up, created_at)
             VALUES (gen_random_uuid(), '{id}', 'x', {digest}, 1, decode(repeat('00', 32), 'hex'), 0, false, now())"
        ),
        format!(
            "INSERT INTO mailed_proofs (id, purpose, email, user_id, link_digest, created_at, expires_at)
             VALUES (gen_random_uuid(), 'password_reset', 'x@example.org', '{id}', {digest}, now(), now() + interval '1 hour')"
        ),
        format!(
            "INSERT INTO challenges (id, purpose, token_digest, user_id, state_sealed, state_key_version, created_at, expires_at)
             VALUES (gen_random_uuid(), 'sign_in', {digest}, '{id}', '', 1, now(), now() + interval '1 hour')"
        ),
        format!("INSERT INTO exports (id, user_id, requested_at, expires_at) VALUES (gen_random_uuid(), '{id}', now(), now())"),
        // and no key changes whose it is, what it is, or what it may do
        format!("UPDATE api_keys SET user_id = '{id}'"),
        format!("UPDATE api_keys SET digest = {digest}"),
        "UPDATE api_key_scopes SET permission = 'audit:read'".into(),
        "DELETE FROM api_key_scopes".into(),
    ] {
        let refused = app.runs(&sql).await.unwrap_err().to_string();
        let reasons = ["is a service account", "users_service", "stays what it is", "permission denied"];
        assert!(reasons.iter().any(|reason| refused.contains(reason)), "{sql}: {refused}");
    }
    for (path, body) in [
        ("/v1/auth/login", json!({ "email": "", "password": PASSWORD })),
        ("/v1/auth/login", json!({ "email": id, "password": PASSWORD })),
        ("/v1/auth/password/forgot", json!({ "email": id })),
    ] {
        let answer = app.visitor().post(path, body).await;
        assert!([401, 422].contains(&answer.status.as_u16()), "{path}: {}", answer.text);
    }
}

#[actix_web::test]
async fn a_service_account_is_not_the_administrator_that_must_remain() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let service = app.service_account(&root, &["administrator"], &["users:read"]).await;
    let path = format!("/v1/users/{}/roles", app.id_of("root@example.org").await);
    assert_eq!(root.put(&path, json!({ "roles": [] })).await.code(), "LAST_ADMINISTRATOR");
    // while one of its own may go
    assert_eq!(root.put(&format!("/v1/service-accounts/{}/roles", service.id), json!({ "roles": [] })).await.status, 200);
    assert_eq!(service.machine.actor.get("/v1/users").await.code(), "FORBIDDEN", "and its key with it");
}

/// People leave; what they set up for everybody goes on, and nothing of theirs is needed for it.
#[actix_web::test]
async fn who_leaves_takes_no_service_account_along() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let leaver = app.member_with("leaver@example.org", "administrator").await;
    let body = json!({ "name": "x", "scopes": ["users:read"], "expires_in_days": 60 });
    let made = leaver.post("/v1/service-accounts", json!({ "name": "Backup", "department": "Engines", "roles": ["auditor"] })).await.json();
    let keys = format!("/v1/service-accounts/{}/keys", made["id"].as_str().unwrap());
    let (machine, personal) = (app.machine(&leaver.post(&keys, body.clone()).await), app.machine(&leaver.post("/v1/me/api-keys", body).await));
    assert_eq!(leaver.post("/v1/me/close", json!({ "email": "leaver@example.org" })).await.status, 200);
    app.clock.advance(Duration::days(15));
    app.run_jobs().await;
    assert_eq!(app.count("SELECT count(*) FROM users WHERE email = 'leaver@example.org'").await, 0, "erased");
    assert_eq!(machine.actor.get("/v1/users").await.status, 200);
    assert_eq!(personal.actor.get("/v1/users").await.code(), "INVALID_TOKEN");
    assert_eq!(app.count("SELECT count(*) FROM api_keys").await, 1, "the leaver's own is gone");
    assert_eq!(app.count("SELECT count(*) FROM api_keys WHERE created_by IS NULL").await, 1);
    drop(root);
    let root = app.sign_in("root@example.org").await;
    assert_eq!(root.get(&keys).await.json()["items"][0]["id"].as_str(), Some(machine.id.as_str()), "and others look after it");
}
