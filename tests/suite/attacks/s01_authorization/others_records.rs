//! The attacker puts somebody else's id into every path, query and body that takes one (broken object level authorization), and calls what needs
//! a permission without it (broken function level authorization).

use crate::support::{
    app::{Answer, TestApp},
    operations::{Operation, document, operations, resolve},
    provider::Provider,
    world::{AsItWas, Kind, OWNER, World},
};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::collections::BTreeSet;

/// Everybody but the owner.
const OTHERS: [Kind; 3] = [Kind::Other, Kind::OtherDepartment, Kind::Administrator];

/// Every row that somebody's id stands in, but what happened, and what was counted.
async fn belongings(app: &TestApp, owner: &str) -> String {
    let not = "('_sqlx_migrations', 'audit_events', 'quota_counters', 'quota_windows', 'alert_signals')";
    let tables = format!("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN {not} ORDER BY 1");
    let tables: Vec<String> = sqlx::query_scalar(AssertSqlSafe(tables)).fetch_all(&app.database.pool).await.unwrap();
    let mut all = String::new();
    for table in tables {
        let rows = format!(
            "SELECT coalesce(string_agg((to_jsonb(t) - 'last_seen_at' - 'idle_expires_at')::text, ',' ORDER BY t::text), '')
             FROM {table} t WHERE to_jsonb(t)::text LIKE '%{owner}%'"
        );
        let rows: String = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_one(&app.database.pool).await.unwrap();
        all += &format!("{table}: {rows}\n");
    }
    all
}

/// In the path. What each call answers is in the matrix (`tests/suite/contract/access_matrix.txt`); here, that it tells and changes nothing.
#[actix_web::test]
async fn what_belongs_to_somebody_else_looks_like_what_is_not_there() {
    let provider = Provider::start();
    let app = World::service(&provider).await;
    let world = World::of(&app, provider).await;
    let mut as_it_was = AsItWas::keep(&app).await;
    let owner = app.id_of(OWNER).await;
    let before = belongings(&app, &owner).await;
    assert!(
        ["documents: {", "passkeys: {", "identities: {", "exports: {", "sessions: {", "passwords: {"].iter().all(|table| before.contains(table)),
        "{before}"
    );
    let is_open = |operation: &Operation| operation.path.contains("{id}") && operation.permission().is_none_or(|needed| Kind::Other.may(needed));
    let own: Vec<Operation> = operations().into_iter().filter(is_open).collect();
    assert!(own.len() >= 11, "{}", own.len());
    for operation in &own {
        world.prepare(operation).await;
        let before = belongings(&app, &owner).await;
        for kind in OTHERS {
            let call = async |url: String| Answer::of(world.call(world.caller(kind).actor(operation), operation, &url)).await;
            let (theirs, nobodys) =
                (call(world.url(operation)).await, call(world.url_with(operation, |_| "01900000-0000-7000-8000-000000000000".into())).await);
            let name = format!("{} by {}", operation.name(), kind.name());
            assert_eq!((theirs.status.as_u16(), theirs.code().as_str()), (404, "NOT_FOUND"), "{name}: {}", theirs.text);
            assert_eq!(theirs.told(), nobodys.told(), "{name}");
        }
        assert_eq!(belongings(&app, &owner).await, before, "{}", operation.name());
        as_it_was.put_back().await;
    }
    for path in ["/v1/me/sessions/1", "/v1/me/sessions/..", "/v1/me/export/%00", "/v1/me/export/' or 1=1"] {
        assert_eq!(world.actor(Kind::Other).get(path).await.status.as_u16() / 100, 4, "{path}");
    }
}

/// Where the fields of a body are that name something which somebody began: by its id, or by a token.
fn names_something(schema: &Value, found: &mut BTreeSet<String>) {
    let schema = &resolve(document(), schema);
    for (name, of) in schema["properties"].as_object().into_iter().flatten() {
        let is_id = resolve(document(), of)["format"] == "uuid" || of["oneOf"].as_array().into_iter().flatten().any(|one| one["format"] == "uuid");
        if is_id || of.to_string().contains("OpaqueToken") {
            found.insert(name.clone());
        }
    }
}

/// In the body: the owner's letter, ceremony and codes, sent by everybody else. Sign-ins are not bound to a session: whoever has their token
/// and the second factor finishes them.
#[actix_web::test]
async fn what_somebody_else_began_is_finished_by_nobody_else() {
    let provider = Provider::start();
    let app = World::service(&provider).await;
    let world = World::of(&app, provider).await;
    let mut as_it_was = AsItWas::keep(&app).await;
    let owner = app.id_of(OWNER).await;
    let before = belongings(&app, &owner).await;
    let mut walked = Vec::new();
    for operation in operations().into_iter().filter(|operation| !operation.is_public() && operation.has_body()) {
        let mut named = BTreeSet::new();
        names_something(&operation.value["requestBody"]["content"]["application/json"]["schema"], &mut named);
        if named.is_empty() {
            continue;
        }
        for kind in OTHERS {
            let answer = Answer::of(world.call(world.actor(kind), &operation, &world.url(&operation))).await;
            assert!(answer.status.is_client_error(), "{} {named:?} by {}: {}", operation.name(), kind.name(), answer.text);
            assert!(belongings(&app, &owner).await == before, "{} by {} changed something", operation.name(), kind.name());
        }
        let own = as_it_was.after(&operation.method, world.call(world.actor(Kind::Member), &operation, &world.url(&operation))).await;
        assert!(own.status.is_success(), "{}: {}", operation.name(), own.text);
        walked.push(operation.name());
    }
    // of step-up the recovery code; the token of its passkey is in `others_passkey.rs`
    assert_eq!(walked, ["POST /v1/auth/step-up", "POST /v1/me/mailbox/confirm", "POST /v1/me/passkeys"]);
}

/// In the query.
#[actix_web::test]
async fn no_filter_shows_what_somebody_else_did() {
    let provider = Provider::start();
    let app = World::service(&provider).await;
    let world = World::of(&app, provider).await;
    let owner = app.id_of(OWNER).await;
    let (mut filters, mut own_lists) = (Vec::new(), 0);
    for operation in operations().into_iter().filter(|operation| operation.method == Method::GET && !operation.is_public()) {
        let parameters = operation.value["parameters"].as_array().cloned().unwrap_or_default();
        for parameter in parameters.iter().filter(|one| one["in"] == "query" && one["schema"]["format"] == "uuid") {
            let name = parameter["name"].as_str().unwrap();
            for kind in [Kind::Other, Kind::OtherDepartment] {
                let answer = world.actor(kind).get(&format!("{}?{name}={owner}", operation.path)).await;
                let found = if operation.permission().is_none_or(|needed| kind.may(needed)) { 200 } else { 403 };
                assert_eq!(answer.status, found, "{} by {name}: {}", operation.name(), answer.text);
                assert!(!answer.text.contains(&owner), "{} by {name}: {}", operation.name(), answer.text);
            }
            filters.push(format!("{} {name}", operation.path));
        }
        if !operation.path.starts_with("/v1/me") || operation.path.contains('{') {
            continue;
        }
        own_lists += 1;
        for name in ["subject", "actor", "user", "user_id", "account", "account_id", "owner", "id", "email"] {
            for value in [owner.as_str(), OWNER] {
                let answer = world.actor(Kind::Other).get(&format!("{}?{name}={value}", operation.path)).await;
                assert!(!answer.text.contains(&owner) && !answer.text.contains(OWNER), "{} by {name}: {}", operation.name(), answer.text);
            }
        }
    }
    assert_eq!(filters, ["/v1/audit/events subject", "/v1/audit/events actor", "/v1/documents owner"]);
    assert!(own_lists >= 7, "{own_lists}");
}

#[actix_web::test]
async fn every_administrative_call_needs_its_permission() {
    let app = TestApp::start().await;
    let member = app.member("ada@example.org").await;
    let id = app.id_of("ada@example.org").await;
    let mut walked = 0;
    sqlx::query("DELETE FROM user_roles").execute(&app.database.pool).await.unwrap();
    for operation in operations() {
        let Some(needed) = operation.permission() else { continue };
        walked += 1;
        let (name, url) = (operation.name(), operation.path.replace("{id}", &id).replace("{name}", "auditor").replace("{key}", &id));
        let call = async || Answer::of(member.request(operation.method.clone(), &url).json(&json!({}))).await;
        let without = call().await;
        assert_eq!((without.status.as_u16(), without.code().as_str()), (403, "FORBIDDEN"), "{name}");

        // every other permission together does not help
        let others: Vec<&str> =
            portcullis::access::permission::Permission::ALL.iter().map(|known| known.name()).filter(|name| *name != needed).collect();
        let role = format!("other-{walked}");
        app.role(&role, &others).await;
        sqlx::query("INSERT INTO user_roles (user_id, role, granted_at) SELECT id, $1, now() FROM users")
            .bind(&role)
            .execute(&app.database.pool)
            .await
            .unwrap();
        assert_eq!(call().await.code(), "FORBIDDEN", "{name}");
        app.role(&format!("needed-{walked}"), &[needed]).await;
        sqlx::query("UPDATE user_roles SET role = $1").bind(format!("needed-{walked}")).execute(&app.database.pool).await.unwrap();
        let with = call().await;
        // a bodiless call may go through, and may end one's own sessions; what matters is that the guard let it in
        assert_ne!(with.status, 403, "{name}: {}", with.text);
        sqlx::query("DELETE FROM user_roles").execute(&app.database.pool).await.unwrap();
        sqlx::query("UPDATE sessions SET revoked_at = NULL").execute(&app.database.pool).await.unwrap();
    }
    assert!(walked >= 15, "{walked}");
}
