//! The attacker puts somebody else's id into every path that takes one (broken object level authorization), and calls what needs
//! a permission without it (broken function level authorization).

use crate::support::app::{Answer, TestApp};
use portcullis::api;
use reqwest::Method;
use serde_json::json;

#[actix_web::test]
async fn what_belongs_to_somebody_else_is_not_there() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    let mallory = app.member("mallory@example.org").await;
    let session = ada.get("/v1/me/sessions").await.json()["items"][0]["id"].as_str().unwrap().to_owned();
    let export = ada.post("/v1/me/export", json!({})).await.json()["id"].as_str().unwrap().to_owned();
    app.letter_about("ada@example.org", "Your data is ready").await;
    assert_eq!(ada.get(&format!("/v1/me/export/{export}")).await.status, 200);
    for answer in [mallory.delete(&format!("/v1/me/sessions/{session}")).await, mallory.get(&format!("/v1/me/export/{export}")).await] {
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "NOT_FOUND"), "{}", answer.text);
    }
    assert_eq!(ada.get("/v1/me").await.status, 200, "still signed in");
    for path in ["/v1/me/sessions/1", "/v1/me/sessions/..", "/v1/me/export/%00", "/v1/me/export/' or 1=1"] {
        assert_eq!(mallory.get(path).await.status.as_u16() / 100, 4, "{path}");
    }
    let events = mallory.get("/v1/me/events?limit=100").await.text;
    assert!(!events.contains(&app.id_of("ada@example.org").await), "{events}");
}

#[actix_web::test]
async fn every_administrative_call_needs_its_permission() {
    let app = TestApp::start().await;
    let member = app.member("ada@example.org").await;
    let document = serde_json::to_value(api::document()).unwrap();
    let mut walked = 0;
    sqlx::query("DELETE FROM user_roles").execute(&app.database.pool).await.unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let about = operation["description"].as_str().unwrap_or_default();
            let Some(needed) = about.split("Needs the permission `").nth(1).and_then(|rest| rest.split('`').next()) else { continue };
            walked += 1;
            let url = path.replace("{id}", &app.id_of("ada@example.org").await).replace("{name}", "auditor");
            let method: Method = method.to_uppercase().parse().unwrap();
            let without = Answer::of(member.request(method.clone(), &url).json(&json!({}))).await;
            assert_eq!((without.status.as_u16(), without.code().as_str()), (403, "FORBIDDEN"), "{method} {path}");

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
            let with_others = Answer::of(member.request(method.clone(), &url).json(&json!({}))).await;
            assert_eq!(with_others.code(), "FORBIDDEN", "{method} {path}");
            app.role(&format!("needed-{walked}"), &[needed]).await;
            sqlx::query("UPDATE user_roles SET role = $1").bind(format!("needed-{walked}")).execute(&app.database.pool).await.unwrap();
            let with = Answer::of(member.request(method.clone(), &url).json(&json!({}))).await;
            // a bodiless call may go through, and may end one's own sessions; what matters is that the guard let it in
            assert_ne!(with.status, 403, "{method} {path}: {}", with.text);
            sqlx::query("DELETE FROM user_roles").execute(&app.database.pool).await.unwrap();
            sqlx::query("UPDATE sessions SET revoked_at = NULL").execute(&app.database.pool).await.unwrap();
        }
    }
    assert!(walked >= 15, "{walked}");
}
