//! Keys of machines from end to end: made, used, listed, replaced, revoked; and what letters, the export and the log say of it.

use crate::support::{
    app::TestApp,
    machines::{stamped, wanted},
};
use portcullis::audit::{self, Entry, Event, Origin};
use serde_json::json;
use time::Duration;

const EMAIL: &str = "ada@example.org";

#[actix_web::test]
async fn a_key_is_made_used_replaced_and_revoked() {
    let app = TestApp::start().await;
    app.administrator().await;
    let ada = app.member_with(EMAIL, "auditor").await;
    let body = json!({ "name": "  night   report ", "scopes": ["users:read", "audit:read"], "networks": ["127.0.0.0/8"], "expires_in_days": 30 });
    let made = ada.post("/v1/me/api-keys", body).await;
    let machine = app.machine(&made);
    let shown = &made.json()["api_key"];
    assert_eq!((shown["name"].as_str(), shown["scopes"].clone()), (Some("night report"), json!(["audit:read", "users:read"])));
    assert_eq!((shown["networks"].clone(), shown["last_used_at"].clone()), (json!(["127.0.0.0/8"]), json!(null)));
    let page = std::fs::read_to_string("docs/api-keys.md").unwrap();
    let pattern = regex::Regex::new(page.split("regex = '''").nth(1).unwrap().split("'''").next().unwrap()).unwrap();
    assert_eq!(pattern.find(&format!("key={};", machine.key)).map(|found| found.as_str()), Some(machine.key.as_str()));
    let known = page.lines().find(|line| line.starts_with("pc_dev_")).unwrap();
    assert_eq!((stamped(known).as_str(), stamped(&machine.key).as_str()), (known, machine.key.as_str()), "with the checksum of the documents");
    assert!(machine.key.contains(&machine.id.replace('-', "")));
    app.letter_about(EMAIL, "has a new API key").await;

    assert_eq!(machine.actor.get("/v1/audit/events").await.status, 200);
    app.marks_of_use_written().await;
    let listed = ada.get("/v1/me/api-keys").await;
    assert!(listed.json()["items"][0]["last_used_at"].is_string() && !listed.text.contains("pc_dev"), "{}", listed.text);
    let marks = || app.count("SELECT count(*) FROM api_keys WHERE last_used_at > now() + interval '20 seconds'");
    app.clock.advance(Duration::seconds(30));
    machine.actor.get("/v1/users").await;
    app.marks_of_use_written().await;
    assert_eq!(marks().await, 0, "at most once a minute");
    app.clock.advance(Duration::seconds(31));
    machine.actor.get("/v1/users").await;
    app.marks_of_use_written().await;
    assert_eq!(marks().await, 1);

    let rotated = ada.post(&format!("/v1/me/api-keys/{}/rotate", machine.id), json!({})).await;
    let successor = app.machine(&rotated);
    let items = ada.get("/v1/me/api-keys").await.json()["items"].clone();
    assert_eq!(items.as_array().unwrap().len(), 2);
    assert_eq!(items[1]["replaced_by"].as_str(), Some(successor.id.as_str()));
    for field in ["name", "scopes", "networks"] {
        assert_eq!(items[0][field], items[1][field], "{field}");
    }
    for key in [&machine, &successor] {
        assert_eq!(key.actor.get("/v1/users").await.status, 200, "both, for a day");
    }
    app.clock.advance(Duration::days(1));
    assert_eq!(machine.actor.get("/v1/users").await.status, 401);
    let ada = app.sign_in(EMAIL).await;
    assert_eq!(ada.delete(&format!("/v1/me/api-keys/{}", successor.id)).await.status, 204);
    assert_eq!(successor.actor.get("/v1/users").await.status, 401);

    let events = ada.get("/v1/me/events?limit=100").await.json();
    let told: Vec<(&str, &str)> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|event| Some((event["event"].as_str()?, event["detail"]["api_key"].as_str()?)))
        .collect();
    let expected = [("api_key.revoked", &successor.id), ("api_key.rotated", &successor.id), ("api_key.created", &machine.id)];
    assert_eq!(told, expected.map(|(event, id)| (event, id.as_str())));
    app.clock.advance(Duration::days(8));
    app.run_jobs().await;
    assert_eq!(app.count("SELECT count(*) FROM api_keys").await, 0, "what is over is forgotten");
}

#[actix_web::test]
async fn a_service_account_is_made_and_managed() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let body = json!({ "name": "Deployer", "department": "Engines", "roles": ["auditor"] });
    let made = root.post("/v1/service-accounts", body).await;
    assert_eq!((made.status.as_u16(), made.json()["status"].as_str()), (201, Some("active")), "{}", made.text);
    let path = format!("/v1/service-accounts/{}", made.json()["id"].as_str().unwrap());
    assert_eq!(root.get(&path).await.json(), made.json());
    for n in 0..2 {
        root.post("/v1/service-accounts", json!({ "name": format!("Other {n}") })).await;
    }
    let first = root.get("/v1/service-accounts?limit=2").await.json();
    let second = root.get(&format!("/v1/service-accounts?limit=2&cursor={}", first["next_cursor"].as_str().unwrap())).await.json();
    assert_eq!((first["items"].as_array().unwrap().len(), second["items"][0].clone()), (2, made.json()));

    let machine = app.machine(&root.post(&format!("{path}/keys"), wanted(&["users:read"])).await);
    assert_eq!(machine.actor.get("/v1/users").await.status, 200);
    let rotate = format!("{path}/keys/{}/rotate", machine.id);
    let successor = app.machine(&root.post(&rotate, json!({ "overlap_hours": 0 })).await);
    assert_eq!((machine.actor.get("/v1/users").await.status.as_u16(), successor.actor.get("/v1/users").await.status.as_u16()), (401, 200));
    assert_eq!(root.get(&format!("{path}/keys")).await.json()["items"].as_array().unwrap().len(), 1);
    assert_eq!(root.delete(&format!("{path}/keys/{}", successor.id)).await.status, 204);
    let roles = json!({ "roles": [{ "role": "auditor", "expires_at": "2100-01-01T00:00:00Z" }] });
    assert_eq!(root.put(&format!("{path}/roles"), roles.clone()).await.json(), roles);
    assert_eq!(root.delete(&path).await.status, 204);
    assert_eq!(root.get(&path).await.code(), "NOT_FOUND");
    for event in
        ["service_account.created", "api_key.created", "api_key.rotated", "api_key.revoked", "account.roles_changed", "service_account.deleted"]
    {
        let found = root.get(&format!("/v1/audit/events?event={event}")).await.json();
        assert!(!found["items"].as_array().unwrap().is_empty(), "{event}");
    }
}

/// A machine with a scope and one without, on one account.
#[actix_web::test]
async fn a_machine_does_what_its_scope_says_and_the_log_names_its_key() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let service = app.service_account(&root, &["member"], &["documents:read", "documents:write"]).await;
    let reading = app.machine(&root.post(&format!("/v1/service-accounts/{}/keys", service.id), wanted(&["documents:read"])).await);
    let document = json!({ "title": "Nightly", "body": "all is well", "classification": "internal" });
    assert_eq!(reading.actor.post("/v1/documents", document.clone()).await.code(), "FORBIDDEN", "its account may, it may not");
    let made = service.machine.actor.post("/v1/documents", document).await;
    assert_eq!((made.status.as_u16(), made.json()["owner_id"].as_str()), (201, Some(service.id.as_str())), "{}", made.text);
    let path = format!("/v1/documents/{}", made.json()["id"].as_str().unwrap());
    assert_eq!(reading.actor.get(&path).await.status, 200);
    assert_eq!(reading.actor.delete(&path).await.code(), "FORBIDDEN");
    assert_eq!(service.machine.actor.delete(&path).await.status, 204);
    for event in ["document.created", "document.deleted"] {
        let told = root.get(&format!("/v1/audit/events?event={event}")).await.json()["items"][0].clone();
        assert_eq!(
            (told["actor"].as_str(), told["detail"]["key"].as_str()),
            (Some(service.id.as_str()), Some(service.machine.id.as_str())),
            "{told}"
        );
    }
    assert_eq!(root.delete(&format!("/v1/service-accounts/{}", service.id)).await.status, 204);
    assert_eq!(app.count("SELECT count(*) FROM documents").await, 0);
}

#[actix_web::test]
async fn the_log_names_the_key_that_caused_an_event_and_the_export_lists_keys_without_secrets() {
    let app = TestApp::start().await;
    app.administrator().await;
    let ada = app.member_with(EMAIL, "auditor").await;
    let machine = ada.api_key(&["users:read"]).await;
    let (account, key) = (app.id_of(EMAIL).await.parse().unwrap(), machine.id.parse().unwrap());
    let origin = Origin { key: Some(key), ..Origin::service() };
    let entry = Entry::own(Event::ProfileChanged, &origin, account).detail(json!({ "fields": ["name"] }));
    audit::record(&mut app.state.pool.acquire().await.unwrap(), &app.state.keyring, app.clock.now(), entry).await.unwrap();
    let event = ada.get("/v1/me/events?limit=1").await.json()["items"][0].clone();
    assert_eq!(event["detail"], json!({ "fields": ["name"], "key": machine.id }));

    let export = ada.post("/v1/me/export", json!({})).await.json()["id"].as_str().unwrap().to_owned();
    app.letter_about(EMAIL, "Your data is ready").await;
    let exported = ada.get(&format!("/v1/me/export/{export}")).await;
    assert_eq!(exported.json()["api_keys"][0]["id"].as_str(), Some(machine.id.as_str()), "{}", exported.text);
    assert!(!exported.text.contains("pc_dev"));
}
