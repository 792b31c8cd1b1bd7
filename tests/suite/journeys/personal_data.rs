//! Taking one's data along, and leaving.

use crate::support::app::{PASSWORD, TestApp};
use serde_json::json;
use sqlx::{Connection, PgConnection};
use time::Duration;

#[actix_web::test]
async fn an_export_is_made_and_fetched_by_its_owner() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    assert_eq!(ada.patch("/v1/me", json!({ "about": "I <b>count</b>." })).await.status, 200);
    let asked = ada.post("/v1/me/export", json!({})).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    assert_eq!(ada.post("/v1/me/export", json!({})).await.json()["id"], asked.json()["id"], "asking again makes no second one");
    let letter = app.letter_about("ada@example.org", "Your data is ready").await;
    assert!(letter.text.contains(&format!("/go/export#id={}", asked.json()["id"].as_str().unwrap())), "{}", letter.text);
    let ready = ada.get("/v1/me/export").await.json();
    assert_eq!(ready["status"], "ready");
    let path = ready["url"].as_str().unwrap().strip_prefix("https://localhost:8443").unwrap().to_owned();
    let export = ada.get(&path).await;
    assert!(export.header("content-disposition").starts_with("attachment"));
    let export = export.json();
    assert_eq!(export["account"]["about"], "I <b>count</b>.");
    assert_eq!((export["account"]["email"].as_str(), export["sessions"].as_array().unwrap().len()), (Some("ada@example.org"), 1));
    assert!(
        export["events"].as_array().unwrap().iter().any(|event| event["event"] == "session.started" && event["personal"]["address"] == "127.0.0.1")
    );
    let stored: Vec<u8> = sqlx::query_scalar("SELECT sealed FROM exports").fetch_one(&app.database.pool).await.unwrap();
    assert!(!String::from_utf8_lossy(&stored).contains("ada@"), "sealed at rest");

    let mallory = app.member("mallory@example.org").await;
    assert_eq!(mallory.get(&path).await.code(), "NOT_FOUND");
    app.clock.advance(Duration::days(7));
    let ada = app.sign_in("ada@example.org").await;
    assert_eq!(ada.get(&path).await.code(), "NOT_FOUND", "its time is over");
}

#[actix_web::test]
async fn a_closed_account_can_be_kept_and_is_erased_otherwise() {
    let app = TestApp::start().await;
    let mut ada = app.member("ada@example.org").await;
    assert_eq!(ada.post("/v1/me/close", json!({ "email": "adam@example.org" })).await.status, 422, "a slip");
    let closed = ada.post("/v1/me/close", json!({ "email": "ada@example.org" })).await;
    assert_eq!(closed.status, 200, "{}", closed.text);
    assert_eq!(ada.get("/v1/me").await.status, 401);
    assert_eq!(ada.sign_in("ada@example.org", PASSWORD).await.status, 401);
    let letter = app.letter_about("ada@example.org", "/go/keep").await;
    app.clock.advance(Duration::days(14) - Duration::SECOND);
    assert_eq!(ada.follow("/v1/auth/account/keep", &letter).await.status, 204);
    assert_eq!(ada.sign_in("ada@example.org", PASSWORD).await.status, 401, "whoever closed it knew the password");
    let token = app.letter_about("ada@example.org", "was made useless").await.token;
    assert_eq!(app.visitor().post("/v1/auth/password/reset", json!({ "token": token, "password": PASSWORD })).await.status, 204);
    assert_eq!(ada.sign_in("ada@example.org", PASSWORD).await.status, 200, "kept");

    let id = app.id_of("ada@example.org").await;
    assert_eq!(ada.post("/v1/me/close", json!({ "email": "ada@example.org" })).await.status, 200);
    app.clock.advance(Duration::days(14));
    app.run_jobs().await;
    app.letter_about("ada@example.org", "was erased").await;
    assert_eq!(app.count("SELECT count(*) FROM users").await, 0);
    for (table, column) in [
        ("sessions", "user_id"),
        ("passwords", "user_id"),
        ("identities", "user_id"),
        ("mailed_proofs", "user_id"),
        ("exports", "user_id"),
        ("subject_keys", "subject"),
    ] {
        let left: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table} WHERE {column}::text = $1")))
            .bind(&id)
            .fetch_one(&app.database.pool)
            .await
            .unwrap();
        assert_eq!(left, 0, "{table}");
    }
    let root = app.administrator().await;
    let events = root.get(&format!("/v1/audit/events?subject={id}")).await.json();
    let events = events["items"].as_array().unwrap();
    assert_eq!(events[0]["event"], "account.erased");
    assert!(events.len() > 4 && events.iter().all(|event| event.get("address").is_none() && event.get("emails").is_none()), "{events:?}");
    // the address is free again
    app.create_account("ada@example.org").await;
}

#[actix_web::test]
async fn a_forgetful_leaver_gets_the_link_again_and_administrators_have_the_last_word() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    let mut ada = app.member("ada@example.org").await;
    assert_eq!(ada.post("/v1/me/close", json!({ "email": "ada@example.org" })).await.status, 200);
    app.all_letters_sent().await;
    app.visitor().post("/v1/auth/password/forgot", json!({ "email": "ada@example.org" })).await;
    app.all_letters_sent().await;
    let again = app.letters_to("ada@example.org").pop().unwrap();
    assert!(again.text.contains("/go/keep"), "{}", again.text);
    let path = format!("/v1/users/{}/disabled", app.id_of("ada@example.org").await);
    assert_eq!(root.put(&path, json!({ "disabled": true })).await.json()["status"], "closing");
    assert_eq!(ada.follow("/v1/auth/account/keep", &again).await.status, 204);
    assert_eq!(app.count("SELECT count(*) FROM users WHERE email = 'ada@example.org' AND status = 'disabled'").await, 1, "kept, and disabled");
    assert_eq!(ada.sign_in("ada@example.org", PASSWORD).await.status, 401);
}

#[actix_web::test]
async fn one_who_cannot_be_erased_or_exported_holds_nobody_up() {
    let app = TestApp::start().await;
    for name in ["ada", "bob"] {
        let person = app.member(&format!("{name}@example.org")).await;
        assert_eq!(person.post("/v1/me/export", json!({})).await.status, 202);
    }
    app.wait_for("exports", async || (app.count("SELECT count(*) FROM exports WHERE sealed IS NOT NULL").await == 2).then_some(())).await;
    let spoil = "UPDATE subject_keys SET sealed = '\\x00' WHERE subject = (SELECT id FROM users WHERE email = 'ada@example.org')";
    let mut owner = PgConnection::connect_with(&app.database.owner).await.unwrap();
    sqlx::query(spoil).execute(&mut owner).await.unwrap();
    sqlx::query("UPDATE exports SET sealed = NULL").execute(&app.database.pool).await.unwrap();
    assert!(app.try_jobs().await.is_err(), "ada's key does not open");
    assert_eq!(app.count("SELECT count(*) FROM exports WHERE sealed IS NOT NULL").await, 1, "bob's export is made");
    sqlx::query("DELETE FROM exports").execute(&app.database.pool).await.unwrap();
    sqlx::query("UPDATE users SET status = 'closing', erase_at = now()").execute(&app.database.pool).await.unwrap();
    app.clock.advance(Duration::SECOND);
    app.run_jobs().await;
    assert_eq!(app.count("SELECT count(*) FROM users").await, 0, "erasing needs nobody's key");
}
