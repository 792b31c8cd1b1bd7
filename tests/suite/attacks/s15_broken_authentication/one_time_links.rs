//! Links from letters used again, fifty times at once, for another purpose, or by somebody who makes them up.

use crate::support::app::{Letter, TestApp};
use serde_json::{Value, json};

#[actix_web::test]
async fn of_fifty_parallel_uses_one_succeeds() {
    let app = TestApp::with(&[("PORTCULLIS_HASH_QUEUE", "100"), ("PORTCULLIS_DATABASE_CONNECTIONS", "20")]).await;
    app.create_account("ada@example.org").await;
    app.visitor().post("/v1/auth/password/forgot", json!({ "email": "ada@example.org" })).await;
    let token = app.letter_about("ada@example.org", "/go/reset").await.token;
    let passwords: Vec<String> = (0..50).map(|n| format!("wet gravel under a tin moon {n}")).collect();
    let visitor = app.visitor();
    let uses = passwords.iter().map(|password| visitor.post("/v1/auth/password/reset", json!({ "token": token, "password": password })));
    let answers = futures_util::future::join_all(uses).await;
    let winners: Vec<usize> = answers.iter().enumerate().filter(|(_, answer)| answer.status == 204).map(|(n, _)| n).collect();
    assert_eq!(winners.len(), 1);
    assert!(
        answers.iter().all(|answer| answer.status == 204 || answer.code() == "INVALID_PROOF"),
        "{:?}",
        answers.iter().map(|a| &a.text).collect::<Vec<_>>()
    );
    assert_eq!(app.visitor().sign_in("ada@example.org", &passwords[winners[0]]).await.status, 200);
}

#[actix_web::test]
async fn a_link_of_one_purpose_is_worth_nothing_for_another() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    app.sign_in("ada@example.org").await;
    app.visitor().post("/v1/auth/password/forgot", json!({ "email": "ada@example.org" })).await;
    app.visitor().post("/v1/auth/register", json!({ "email": "bob@example.org" })).await;
    ada.post("/v1/me/email", json!({ "email": "new@example.org" })).await;
    let letters: Vec<(&str, Letter)> = vec![
        ("/v1/auth/password/reset", app.letter_about("ada@example.org", "/go/reset").await),
        ("/v1/auth/register/complete", app.letter_about("bob@example.org", "/go/register").await),
        ("/v1/auth/email/confirm", app.letter_about("new@example.org", "/go/email").await),
        ("/v1/auth/sessions/disown", app.letter_about("ada@example.org", "/go/disown").await),
    ];
    let body = |path: &str, token: &Option<String>| -> Value {
        match path {
            "/v1/auth/password/reset" => json!({ "token": token, "password": "mallory has chosen this one" }),
            "/v1/auth/register/complete" => json!({ "token": token, "name": "M", "password": "mallory has chosen this one" }),
            _ => json!({ "token": token }),
        }
    };
    let calls = [
        "/v1/auth/password/reset",
        "/v1/auth/register/complete",
        "/v1/auth/email/confirm",
        "/v1/auth/sessions/disown",
        "/v1/auth/email/undo",
        "/v1/auth/devices/trust",
        "/v1/auth/account/keep",
    ];
    for (own, letter) in &letters {
        for call in calls.iter().filter(|call| *call != own) {
            let answer = app.visitor().post(call, body(call, &letter.token)).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "INVALID_PROOF"), "{own} for {call}: {}", answer.text);
        }
    }
    for call in calls {
        for token in ["", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(app.visitor().post(call, body(call, &Some(token.to_owned()))).await.code(), "INVALID_PROOF", "{call} {token}");
        }
    }
    assert_eq!(ada.get("/v1/me").await.status, 200, "nothing happened");
    // a code is bound to the letter that it came in
    let codes: Vec<String> = letters.iter().filter_map(|(_, letter)| letter.code.clone()).collect();
    let foreign = app.visitor().post("/v1/auth/password/forgot", json!({ "email": "new@example.org" })).await.json()["proof_id"].clone();
    for code in codes {
        let body = json!({ "proof_id": foreign, "code": code, "password": "mallory has chosen this one" });
        assert_eq!(app.visitor().post("/v1/auth/password/reset", body).await.code(), "INVALID_PROOF");
    }
    // and each is still good for what it was sent for
    let (path, letter) = &letters[3];
    assert_eq!(app.visitor().post(path, body(path, &letter.token)).await.status, 204);
}

/// Mail scanners open every link in a letter; some run its page's scripts.
#[actix_web::test]
async fn opening_a_link_spends_nothing() {
    let app = TestApp::start().await;
    app.create_account("ada@example.org").await;
    app.visitor().post("/v1/auth/password/forgot", json!({ "email": "ada@example.org" })).await;
    let token = app.letter_about("ada@example.org", "/go/reset").await.token;
    for page in ["register", "reset", "email", "undo", "disown", "trust", "keep", "export"] {
        let opened = app.visitor().get(&format!("/go/{page}")).await;
        assert!(opened.status == 200 && opened.header("content-security-policy").contains("script-src 'self'"), "{page}");
        assert!(!opened.text.contains('{') && !opened.text.contains("onload"), "{page}: {}", opened.text);
    }
    assert_eq!(app.visitor().get("/go/nothing").await.code(), "NOT_FOUND");
    assert_eq!(app.count("SELECT count(*) FROM mailed_proofs WHERE purpose = 'password_reset' AND used_at IS NOT NULL").await, 0);
    let set = json!({ "token": token, "password": "slow copper rain on wide steps" });
    assert_eq!(app.visitor().post("/v1/auth/password/reset", set).await.status, 204);
}
