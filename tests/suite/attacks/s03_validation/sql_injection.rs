//! Text that would end a quoted value or a statement. It is stored as text or refused, and no table is missing afterwards.

use crate::support::app::{PASSWORD, TestApp};
use serde_json::json;

#[actix_web::test]
async fn sql_in_fields_stays_text() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    for name in ["'; DROP TABLE users; --", "' OR '1'='1", "$1", "\\'; SELECT pg_sleep(10); --", "'||(SELECT phc FROM passwords)||'"] {
        let answer = ada.patch("/v1/me", json!({ "name": name })).await;
        assert_eq!((answer.status.as_u16(), answer.json()["name"].as_str()), (200, Some(name)), "{}", answer.text);
    }
    for email in ["ada@example.org'--", "' or 1=1 --", "ada'or'1'='1@example.org", "ada@example.org' OR 'x'='x"] {
        let answer = app.visitor().sign_in(email, PASSWORD).await;
        assert!(matches!(answer.status.as_u16(), 401 | 422), "{email}: {}", answer.text);
    }
    let token = json!({ "token": "' OR link_digest IS NOT NULL --", "name": "x", "password": PASSWORD });
    assert_eq!(app.visitor().post("/v1/auth/register/complete", token).await.code(), "INVALID_PROOF");
    assert_eq!(app.count("SELECT count(*) FROM users").await, 1);
}
