//! Somebody with some authority makes more of it: gives themselves a role, edits one that they have, makes a new one, invites a
//! friend to a role, or acts on somebody who holds more.

use crate::support::app::{PASSWORD, TestApp};
use serde_json::{Value, json};
use sqlx::Connection;

#[actix_web::test]
async fn nobody_gives_takes_or_touches_what_they_do_not_hold() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let all_but_audit = ["users:read", "users:manage", "roles:read", "roles:manage", "roles:assign", "invitations:manage"];
    app.role("staff", &all_but_audit).await;
    app.role("reader", &["users:read"]).await;
    let mallory = app.member_with("mallory@example.org", "staff").await;
    app.create_account("ada@example.org").await;
    let (me, ada, boss) = (app.id_of("mallory@example.org").await, app.id_of("ada@example.org").await, app.id_of("root@example.org").await);
    let roles = |names: &[&str]| json!({ "roles": names.iter().map(|name| json!({ "role": name })).collect::<Vec<_>>() });
    let role = |permissions: &[&str]| json!({ "description": "x", "permissions": permissions });
    let attempts: Vec<(&str, String, Value)> = vec![
        ("a role above one's own, to oneself", format!("/v1/users/{me}/roles"), roles(&["staff", "administrator"])),
        ("the same to a friend", format!("/v1/users/{ada}/roles"), roles(&["auditor"])),
        ("demoting somebody who holds more", format!("/v1/users/{boss}/roles"), roles(&[])),
        ("disabling them", format!("/v1/users/{boss}/disabled"), json!({ "disabled": true })),
        ("moving them", format!("/v1/users/{boss}/department"), json!({ "department": "Basement" })),
        ("editing one's own role", "/v1/roles/staff".into(), role(&["audit:read"])),
        ("editing a role that a friend has", "/v1/roles/reader".into(), role(&["users:read", "audit:read"])),
    ];
    for (what, path, body) in attempts {
        let answer = mallory.put(&path, body).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "FORBIDDEN"), "{what}: {}", answer.text);
    }
    assert_eq!(mallory.delete(&format!("/v1/users/{boss}/sessions")).await.code(), "FORBIDDEN", "signing them out");
    let new = json!({ "name": "mine", "description": "x", "permissions": ["audit:read"] });
    assert_eq!(mallory.post("/v1/roles", new).await.code(), "FORBIDDEN", "a new role");
    let invite = json!({ "email": "friend@example.org", "roles": ["administrator"] });
    assert_eq!(mallory.post("/v1/invitations", invite).await.code(), "FORBIDDEN", "an invitation");
    app.role("above", &["audit:read"]).await;
    assert_eq!(mallory.delete("/v1/roles/above").await.code(), "FORBIDDEN", "deleting a role above");
    for name in ["administrator", "auditor"] {
        let answer = root.put(&format!("/v1/roles/{name}"), role(&["users:read"])).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (409, "BUILT_IN_ROLE"));
        assert_eq!(root.delete(&format!("/v1/roles/{name}")).await.code(), "BUILT_IN_ROLE");
    }
    // what they may do, they may
    assert_eq!(mallory.put(&format!("/v1/users/{ada}/roles"), roles(&["reader"])).await.status, 200);
    assert_eq!(mallory.put(&format!("/v1/users/{ada}/roles"), roles(&["nothing"])).await.code(), "INVALID");
    assert_eq!(app.count("SELECT count(*) FROM user_roles WHERE role IN ('administrator', 'auditor')").await, 1);
}

#[actix_web::test]
async fn an_invitation_is_worth_what_its_sender_still_holds() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let mallory = app.member_with("mallory@example.org", "administrator").await;
    let invite = json!({ "email": "friend@example.org", "roles": ["administrator"] });
    assert_eq!(mallory.post("/v1/invitations", invite).await.status, 201);
    let me = app.id_of("mallory@example.org").await;
    assert_eq!(root.put(&format!("/v1/users/{me}/roles"), json!({ "roles": [] })).await.status, 200);
    let token = app.letter_about("friend@example.org", "invited").await.token;
    let body = json!({ "token": token, "name": "Friend", "password": PASSWORD });
    assert_eq!(app.visitor().post("/v1/auth/register/complete", body).await.code(), "INVALID_PROOF");
    assert_eq!(app.count("SELECT count(*) FROM users WHERE email = 'friend@example.org'").await, 0, "no half account");
}

#[actix_web::test]
async fn a_right_that_ends_makes_none_that_lasts() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let temporary = app.member("temp@example.org").await;
    app.create_account("friend@example.org").await;
    let (me, friend) = (app.id_of("temp@example.org").await, app.id_of("friend@example.org").await);
    let end = |minutes: i64| (app.clock.now() + time::Duration::minutes(minutes)).format(&time::format_description::well_known::Rfc3339).unwrap();
    let until = |end: &str| json!({ "roles": [{ "role": "administrator", "expires_at": end }, { "role": "member" }] });
    assert_eq!(root.put(&format!("/v1/users/{me}/roles"), until(&end(10))).await.status, 200);
    let for_good = json!({ "roles": [{ "role": "administrator" }] });
    for (path, body) in [(&me, for_good.clone()), (&friend, for_good), (&me, until(&end(20))), (&friend, until(&end(20)))] {
        let answer = temporary.put(&format!("/v1/users/{path}/roles"), body.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "FORBIDDEN"), "{body}");
    }
    let invite = json!({ "email": "sock@example.org", "roles": ["auditor"] });
    assert_eq!(temporary.post("/v1/invitations", invite).await.code(), "FORBIDDEN");
    let role = json!({ "name": "mine", "description": "x", "permissions": ["users:read"] });
    assert_eq!(temporary.post("/v1/roles", role).await.code(), "FORBIDDEN");
    assert_eq!(temporary.put(&format!("/v1/users/{friend}/roles"), until(&end(5))).await.status, 200, "a shorter one may be given");
}

#[actix_web::test]
async fn an_invitation_dies_with_its_senders_right_to_invite() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    app.role("inviter", &["invitations:manage"]).await;
    let host = app.member_with("host@example.org", "inviter").await;
    for guest in ["a@example.org", "b@example.org"] {
        assert_eq!(host.post("/v1/invitations", json!({ "email": guest, "department": "Board" })).await.status, 201);
    }
    let sent = root.post("/v1/invitations", json!({ "email": "c@example.org", "roles": ["auditor"] })).await.json();
    let revoke = format!("/v1/invitations/{}", sent["id"].as_str().unwrap());
    assert_eq!(host.delete(&revoke).await.code(), "FORBIDDEN", "nor are invitations above one's own taken back");
    let accept = async |guest: &str| {
        let token = app.letter_about(guest, "invited").await.token;
        app.visitor().post("/v1/auth/register/complete", json!({ "token": token, "name": "G", "password": PASSWORD })).await
    };
    // to begin as a member is nobody's gift
    app.count("WITH gone AS (DELETE FROM user_roles r USING users u WHERE u.id = r.user_id AND u.email = 'host@example.org' AND r.role = 'member' RETURNING 1) SELECT count(*) FROM gone").await;
    assert_eq!(accept("a@example.org").await.status, 201);
    let path = format!("/v1/users/{}/disabled", app.id_of("host@example.org").await);
    assert_eq!(root.put(&path, json!({ "disabled": true })).await.status, 200);
    assert_eq!(accept("b@example.org").await.code(), "INVALID_PROOF");
    assert_eq!(accept("c@example.org").await.status, 201);
}

/// The actor passed the guard, waits for the lock on authority, and is demoted and disabled meanwhile.
#[actix_web::test]
async fn whoever_is_demoted_while_waiting_does_nothing() {
    let app = TestApp::start().await;
    app.administrator().await;
    let mallory = app.member_with("mallory@example.org", "administrator").await;
    app.create_account("ada@example.org").await;
    let ada = app.id_of("ada@example.org").await;
    let mut holder = sqlx::PgConnection::connect_with(&app.database.owner).await.unwrap();
    sqlx::query("SELECT pg_advisory_lock(x'706f727461757468'::bigint)").execute(&mut holder).await.unwrap();
    let (disable, place) = (format!("/v1/users/{ada}/disabled"), format!("/v1/users/{ada}/department"));
    let (role, invite) =
        (json!({ "name": "empty", "description": "x", "permissions": [] }), json!({ "email": "friend@example.org", "department": "Board" }));
    let calls = futures_util::future::join4(
        mallory.put(&disable, json!({ "disabled": true })),
        mallory.put(&place, json!({ "department": "Basement" })),
        mallory.post("/v1/roles", role),
        mallory.post("/v1/invitations", invite),
    );
    let demote = async {
        app.wait_for("four who wait", async || {
            (app.count("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").await >= 4).then_some(())
        })
        .await;
        sqlx::query("DELETE FROM user_roles WHERE user_id = (SELECT id FROM users WHERE email = 'mallory@example.org')")
            .execute(&app.database.pool)
            .await
            .unwrap();
        sqlx::query("SELECT pg_advisory_unlock(x'706f727461757468'::bigint)").execute(&mut holder).await.unwrap();
    };
    let ((a, b, c, d), ()) = futures_util::future::join(calls, demote).await;
    for answer in [a, b, c, d] {
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "FORBIDDEN"), "{}", answer.text);
    }
}

/// The last line of defence: also somebody who can send SQL as the service changes no built-in role.
#[actix_web::test]
async fn built_in_roles_are_kept_by_the_database() {
    let app = TestApp::start().await;
    for sql in [
        "DELETE FROM roles WHERE name = 'administrator'",
        "UPDATE roles SET name = 'x' WHERE name = 'auditor'",
        "DELETE FROM role_permissions WHERE role = 'administrator'",
        "INSERT INTO role_permissions SELECT 'auditor', 'users:manage'",
        "INSERT INTO roles (name, description, built_in, created_at) VALUES ('mine', 'x', true, now())",
        "INSERT INTO permissions VALUES ('x:y', 'z')",
    ] {
        let refused = sqlx::query(sql).execute(&app.database.pool).await.unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("is built in") || text.contains("permission denied"), "{sql}: {text}");
    }
    let names: Vec<String> = sqlx::query_scalar("SELECT name FROM permissions ORDER BY name").fetch_all(&app.database.pool).await.unwrap();
    let mut known: Vec<String> = portcullis::access::permission::Permission::ALL.iter().map(ToString::to_string).collect();
    known.sort();
    assert_eq!(names, known, "the table and the code list the same");
}
