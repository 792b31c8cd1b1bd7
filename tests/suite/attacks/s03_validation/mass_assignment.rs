//! The attacker adds fields that they should not set: another address, a status, an id, a date.

use crate::support::app::TestApp;
use serde_json::{Value, json};

#[actix_web::test]
async fn fields_beyond_the_listed_ones_change_nothing() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    let before = ada.get("/v1/me").await.text;
    for (field, value) in [
        ("email", json!("mallory@example.org")),
        ("status", json!("active")),
        ("department", json!("board")),
        ("id", json!("00000000-0000-7000-8000-000000000000")),
        ("roles", json!(["administrator"])),
        ("created_at", json!("2000-01-01T00:00:00Z")),
    ] {
        let mut body = json!({ "name": "Mallory" });
        body.as_object_mut().unwrap().insert(field.into(), value);
        let answer = ada.patch("/v1/me", body).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "INVALID"), "{field}");
    }
    assert_eq!(ada.get("/v1/me").await.text, before);
}

#[actix_web::test]
async fn an_account_is_shown_with_the_listed_fields_only() {
    let app = TestApp::start().await;
    let me: Value = app.member("ada@example.org").await.get("/v1/me").await.json();
    let mut fields: Vec<&str> = me.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["about", "created_at", "department", "email", "id", "name", "updated_at"]);
}
