//! Who has an account here? Text, status, headers and work are the same for known and unknown addresses. Work is counted, not
//! timed: hashes, letters, rows.

use crate::support::app::{Answer, TestApp};
use serde_json::json;
use std::collections::BTreeMap;

/// All of an answer but what is new in every one.
fn visible(answer: &Answer) -> (u16, BTreeMap<String, String>, usize) {
    // what is left of the address's bucket says how often it asked
    let headers = answer.headers.iter().filter(|(name, _)| !["date", "x-request-id", "ratelimit"].contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    (answer.status.as_u16(), headers, answer.text.len())
}

#[actix_web::test]
async fn signing_in_and_registering_tell_nobody_who_has_an_account() {
    let app = TestApp::start().await;
    app.create_account("known@example.org").await;
    app.create_account("gone@example.org").await;
    sqlx::query("UPDATE users SET status = 'disabled' WHERE email = 'gone@example.org'").execute(&app.database.pool).await.unwrap();
    let hashes = || app.state.passwords.computed();

    let mut seen = Vec::new();
    for email in ["known@example.org", "unknown@example.org", "gone@example.org"] {
        let before = hashes();
        let answer = app.visitor().sign_in(email, "not the password of anyone").await;
        assert_eq!(answer.code(), "INVALID_CREDENTIALS");
        assert_eq!(hashes() - before, 1, "{email}: exactly one verification");
        seen.push((visible(&answer), answer.told()));
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");

    let mut seen = Vec::new();
    for email in ["known@example.org", "stranger@example.org"] {
        app.all_letters_sent().await;
        let (letters, rows, before) = (app.letters_to(email).len(), app.count("SELECT count(*) FROM mailed_proofs").await, hashes());
        let answer = app.visitor().post("/v1/auth/register", json!({ "email": email })).await;
        app.all_letters_sent().await;
        assert_eq!(app.letters_to(email).len(), letters + 1, "{email}: one letter");
        assert_eq!(app.count("SELECT count(*) FROM mailed_proofs").await, rows + 1, "{email}: one row");
        assert_eq!(hashes(), before, "{email}: no hash");
        seen.push(visible(&answer));
    }
    assert_eq!(seen[0], seen[1]);
    let told = app.letters_to("known@example.org").pop().unwrap();
    assert!(told.text.contains("You already have an account") && told.token.is_none() && told.code.is_none());
}

#[actix_web::test]
async fn asking_for_a_new_password_tells_nobody_who_has_an_account() {
    let app = TestApp::start().await;
    app.create_account("known@example.org").await;
    app.create_account("gone@example.org").await;
    sqlx::query("UPDATE users SET status = 'disabled' WHERE email = 'gone@example.org'").execute(&app.database.pool).await.unwrap();
    let mut seen = Vec::new();
    for email in ["known@example.org", "unknown@example.org", "gone@example.org"] {
        app.all_letters_sent().await;
        let rows = "SELECT (SELECT count(*) FROM mailed_proofs) + (SELECT count(*) FROM audit_events)";
        let (letters, before, hashes) = (app.letters_to(email).len(), app.count(rows).await, app.state.passwords.computed());
        let answer = app.visitor().post("/v1/auth/password/forgot", json!({ "email": email })).await;
        app.all_letters_sent().await;
        assert_eq!(app.letters_to(email).len(), letters + 1, "{email}: one letter");
        assert_eq!(app.count(rows).await, before + 2, "{email}: two rows");
        assert_eq!(app.state.passwords.computed(), hashes, "{email}: no hash");
        seen.push(visible(&answer));
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
    for email in ["unknown@example.org", "gone@example.org"] {
        let told = app.letters_to(email).pop().unwrap();
        assert!(
            (told.text.contains("no account") || told.text.contains("is disabled")) && told.token.is_none() && told.code.is_none(),
            "{email}: {}",
            told.text
        );
    }
}
