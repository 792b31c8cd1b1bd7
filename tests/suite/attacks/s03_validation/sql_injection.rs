//! Text that would end a quoted value or a statement. It is stored as text or refused, and no table is missing afterwards.

use crate::support::{
    app::{Answer, PASSWORD, TestApp},
    operations::{operations, texts},
};
use serde_json::{Value, json};

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

const PAYLOADS: [&str; 8] = [
    "' OR '1'='1",
    "'; DROP TABLE users; --",
    "x' UNION SELECT phc FROM passwords --",
    "\\'; SELECT pg_sleep(30); --",
    "$1::text); DELETE FROM sessions; --",
    "'or'1'='1@example.org",
    "E'\\\\x27'",
    "a\u{0}b%_\u{202e}",
];

/// In every text of every call, every parameter of every query, and every path.
#[actix_web::test]
async fn sql_is_text_wherever_it_stands() {
    let app = TestApp::with(&[("PORTCULLIS_REAUTHENTICATION_QUOTA", "1000"), ("PORTCULLIS_NOTICE_QUOTA", "1000")]).await;
    app.create_account("ada@example.org").await;
    let mut root = app.administrator().await;
    let mut tried = 0;
    for operation in operations() {
        let url = operation.url();
        let is_fine = |answer: &Answer, what: &str| {
            assert!(answer.status.as_u16() < 500, "{} {what}: {}", operation.name(), answer.text);
            assert!(!answer.text.contains("$argon2id$") && !answer.text.contains("syntax"), "{} {what}: {}", operation.name(), answer.text);
        };
        for payload in PAYLOADS {
            let body = operation.body().unwrap_or_default();
            for (pointer, field) in texts(&body) {
                let mut body = body.clone();
                *body.pointer_mut(&pointer).unwrap() = Value::from(payload);
                is_fine(&Answer::of(root.request(operation.method.clone(), &url).json(&body)).await, &field);
                tried += 1;
            }
            let encoded: String = payload.bytes().map(|byte| format!("%{byte:02X}")).collect();
            for parameter in operation.parameters("query") {
                is_fine(&Answer::of(root.request(operation.method.clone(), &format!("{url}?{parameter}={encoded}"))).await, &parameter);
                tried += 1;
            }
            for parameter in operation.parameters("path") {
                let url = operation.path.replace(&format!("{{{parameter}}}"), &encoded);
                let answer = Answer::of(root.request(operation.method.clone(), &url).json(&body)).await;
                is_fine(&answer, &parameter);
                assert!(answer.status.is_client_error(), "{url}: {}", answer.text);
                tried += 1;
            }
        }
        // some calls end sessions when they succeed, and one of the texts is a good password
        if root.get("/v1/me").await.status == 401 {
            let as_before =
                "UPDATE passwords SET (phc, pepper_version) = (SELECT phc, pepper_version FROM passwords p JOIN users u ON u.id = p.user_id
                             WHERE u.email = 'ada@example.org') WHERE user_id = (SELECT id FROM users WHERE email = 'root@example.org')";
            sqlx::query(as_before).execute(&app.database.pool).await.unwrap();
            root = app.sign_in("root@example.org").await;
        }
        let able = app.count("SELECT count(*) FROM passwords p JOIN users u ON u.id = p.user_id WHERE u.status = 'active'").await;
        assert_eq!(able, 2, "{}", operation.name());
    }
    assert!(tried > 400, "{tried} were tried");
    // service accounts were made, with a role
    let given = "SELECT count(*) FROM user_roles r JOIN users u ON u.id = r.user_id WHERE u.kind = 'person' AND r.role <> 'member'";
    assert_eq!(app.count(given).await, 1);
    assert_eq!(app.sign_in("ada@example.org").await.get("/v1/users").await.code(), "FORBIDDEN");
}
