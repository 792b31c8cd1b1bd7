//! Somebody with some authority makes more of it: gives themselves a role, edits one that they have, makes a new one, invites a
//! friend to a role, or acts on somebody who holds more.

use crate::support::app::{PASSWORD, TestApp};
use serde_json::{Value, json};

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

/// The last line of defence: also somebody who can send SQL as the service changes no built-in role.
#[actix_web::test]
async fn built_in_roles_are_kept_by_the_database() {
    let app = TestApp::start().await;
    for sql in [
        "DELETE FROM roles WHERE name = 'administrator'",
        "UPDATE roles SET name = 'x' WHERE name = 'auditor'",
        "DELETE FROM role_permissions WHERE role = 'administrator'",
        "INSERT INTO role_permissions SELECT 'auditor', 'users:manage'",
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
