//! What administrators do with people: find them, place them, give and take roles, invite, disable; and what the log says of it.

use crate::support::app::{Answer, PASSWORD, TestApp};
use serde_json::{Value, json};

fn emails(page: &Answer) -> Vec<String> {
    page.json()["items"].as_array().unwrap().iter().map(|item| item["email"].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn people_are_found_page_by_page_and_by_filter() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    for n in 0..5 {
        app.create_account(&format!("ada{n}@example.org")).await;
    }
    let id = app.id_of("ada3@example.org").await;
    let placed = root.put(&format!("/v1/users/{id}/department"), json!({ "department": "Engines" })).await;
    assert_eq!((placed.status.as_u16(), placed.json()["department"].as_str()), (200, Some("Engines")));
    assert_eq!(root.put(&format!("/v1/users/{id}/disabled"), json!({ "disabled": true })).await.json()["status"], "disabled");

    let (mut found, mut path) = (Vec::new(), "/v1/users?limit=2".to_owned());
    loop {
        let page = root.get(&path).await;
        assert_eq!(page.status, 200, "{}", page.text);
        found.extend(emails(&page));
        let Some(cursor) = page.json()["next_cursor"].as_str().map(str::to_owned) else { break };
        path = format!("/v1/users?limit=2&cursor={cursor}");
    }
    let expected = ["ada4@example.org", "ada3@example.org", "ada2@example.org", "ada1@example.org", "ada0@example.org", "root@example.org"];
    assert_eq!(found, expected, "the newest first, none twice, none missing");
    for (query, expected) in [
        ("email=ADA1", &["ada1@example.org"][..]),
        ("department=Engines", &["ada3@example.org"]),
        ("status=disabled", &["ada3@example.org"]),
        ("role=administrator", &["root@example.org"]),
        ("role=auditor", &[]),
    ] {
        assert_eq!(emails(&root.get(&format!("/v1/users?{query}")).await), expected, "{query}");
    }
    for query in ["limit=0", "limit=101", "limit=x", "nothing=1", "status=gone", "role=A%00", "cursor=x", "email=%00", "limit=1&limit=2"] {
        let refused = root.get(&format!("/v1/users?{query}")).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (422, "INVALID"), "{query}: {}", refused.text);
    }
}

#[actix_web::test]
async fn a_role_is_made_given_used_and_taken_away_and_the_log_tells_it() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let ada = app.member("ada@example.org").await;
    let id = app.id_of("ada@example.org").await;
    assert_eq!(ada.get("/v1/users").await.code(), "FORBIDDEN");

    let role = json!({ "name": "support", "description": "helps people", "permissions": ["users:read"] });
    assert_eq!(root.post("/v1/roles", role.clone()).await.status, 201);
    assert_eq!(root.post("/v1/roles", role).await.code(), "ALREADY_EXISTS");
    let given = root.put(&format!("/v1/users/{id}/roles"), json!({ "roles": [{ "role": "support" }] })).await;
    assert_eq!(given.status, 200, "{}", given.text);
    assert_eq!(ada.get("/v1/users").await.status, 200, "at once");
    assert_eq!(ada.get("/v1/me/roles").await.json(), json!({ "roles": ["support"], "permissions": ["users:read"] }));
    let wider = json!({ "description": "helps people", "permissions": ["users:read", "roles:read"] });
    assert_eq!(root.put("/v1/roles/support", wider).await.status, 200);
    assert_eq!(ada.get("/v1/roles").await.status, 200, "everybody who has the role feels it");
    assert_eq!(root.delete("/v1/roles/support").await.status, 204);
    assert_eq!(ada.get("/v1/users").await.code(), "FORBIDDEN");

    let page = root.get(&format!("/v1/audit/events?subject={id}&event=account.roles_changed")).await.json();
    let event = &page["items"][0];
    assert_eq!(event["detail"], json!({ "before": [{ "role": "member" }], "after": [{ "role": "support" }] }));
    assert_eq!((event["actor"].as_str(), event["outcome"].as_str()), (Some(app.id_of("root@example.org").await.as_str()), Some("success")));
    assert_eq!(event["address"], "127.0.0.1");
    let own: Value = ada.get("/v1/me/events").await.json();
    let kinds: Vec<&str> = own["items"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["account.roles_changed", "session.started", "account.created"]);
    assert!(own["items"][0].get("address").is_none(), "from where the administrator acted is not the owner's business");
    assert_eq!(own["items"][1]["address"], "127.0.0.1");
}

#[actix_web::test]
async fn a_role_runs_out() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let ada = app.member("ada@example.org").await;
    let id = app.id_of("ada@example.org").await;
    let end = (app.clock.now() + time::Duration::minutes(5)).format(&time::format_description::well_known::Rfc3339).unwrap();
    let given = root.put(&format!("/v1/users/{id}/roles"), json!({ "roles": [{ "role": "auditor", "expires_at": end }] })).await;
    assert_eq!(given.status, 200, "{}", given.text);
    assert_eq!(ada.get("/v1/audit/events").await.status, 200);
    app.clock.advance(time::Duration::minutes(5));
    assert_eq!(ada.get("/v1/audit/events").await.code(), "FORBIDDEN");
    let path = format!("/v1/users/{id}/roles");
    let read = root.get(&path).await.json();
    assert_eq!(root.put(&path, read).await.json(), json!({ "roles": [] }), "what is read can be written back");
    let wanting = root.put(&format!("/v1/users/{id}/department"), json!({})).await;
    assert_eq!(wanting.json()["error"]["fields"][0]["field"], "department", "an empty body takes nothing away");
}

#[actix_web::test]
async fn a_disabled_person_is_out_until_enabled() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let mut ada = app.member("ada@example.org").await;
    let path = format!("/v1/users/{}", app.id_of("ada@example.org").await);
    assert_eq!(root.delete(&format!("{path}/sessions")).await.status, 204);
    assert_eq!(ada.get("/v1/me").await.status, 401);
    assert_eq!(ada.sign_in("ada@example.org", PASSWORD).await.status, 200);
    assert_eq!(root.put(&format!("{path}/disabled"), json!({ "disabled": true })).await.status, 200);
    assert_eq!(ada.get("/v1/me").await.status, 401);
    assert_eq!(ada.sign_in("ada@example.org", PASSWORD).await.code(), "INVALID_CREDENTIALS");
    assert_eq!(root.put(&format!("{path}/disabled"), json!({ "disabled": false })).await.status, 200);
    assert_eq!(ada.get("/v1/me").await.status, 401, "old sessions stay ended");
    assert_eq!(ada.sign_in("ada@example.org", PASSWORD).await.status, 200);
}

#[actix_web::test]
async fn a_guest_comes_by_invitation_while_registration_is_closed() {
    let app = TestApp::with(&[("PORTCULLIS_REGISTRATION", "invited")]).await;
    let refused = app.visitor().post("/v1/auth/register", json!({ "email": "root@example.org" })).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (403, "REGISTRATION_CLOSED"));
    let root = app.planted_administrator().await;
    let invite = json!({ "email": "grace@example.org", "roles": ["auditor"], "department": "Navy" });
    let sent = root.post("/v1/invitations", invite.clone()).await;
    assert_eq!((sent.status.as_u16(), sent.json()["status"].as_str()), (201, Some("open")), "{}", sent.text);

    let token = app.letter_about("grace@example.org", "invited").await.token;
    let complete = json!({ "token": token, "name": "Grace", "password": PASSWORD });
    assert_eq!(app.visitor().post("/v1/auth/register/complete", complete.clone()).await.status, 201);
    assert_eq!(app.visitor().post("/v1/auth/register/complete", complete).await.code(), "INVALID_PROOF", "once");
    let grace = app.sign_in("grace@example.org").await;
    assert_eq!(grace.get("/v1/me").await.json()["department"], "Navy");
    assert_eq!(grace.get("/v1/me/roles").await.json()["roles"], json!(["auditor", "member"]));
    assert_eq!(root.get("/v1/invitations").await.json()["items"][0]["status"], "used");

    let sent = root.post("/v1/invitations", json!({ "email": "eve@example.org" })).await.json();
    let token = app.letter_about("eve@example.org", "invited").await.token;
    assert_eq!(root.delete(&format!("/v1/invitations/{}", sent["id"].as_str().unwrap())).await.status, 204);
    let late = app.visitor().post("/v1/auth/register/complete", json!({ "token": token, "name": "Eve", "password": PASSWORD })).await;
    assert_eq!(late.code(), "INVALID_PROOF", "taken back");
    root.post("/v1/invitations", json!({ "email": "mia@example.org" })).await;
    let token = app.letter_about("mia@example.org", "invited").await.token;
    app.clock.advance(time::Duration::days(7));
    let late = app.visitor().post("/v1/auth/register/complete", json!({ "token": token, "name": "Mia", "password": PASSWORD })).await;
    assert_eq!(late.code(), "INVALID_PROOF", "expired");
}
