//! Many registrations of one address complete at once: one account comes of it, with one password.

use crate::support::app::{PASSWORD, TestApp};
use serde_json::json;

#[actix_web::test]
async fn of_parallel_completions_one_wins_and_no_half_account_stays() {
    let app = TestApp::start().await;
    let visitor = app.visitor();
    for _ in 0..5 {
        assert_eq!(visitor.post("/v1/auth/register", json!({ "email": "ada@example.org" })).await.status, 202);
    }
    app.all_letters_sent().await;
    let tokens: Vec<String> = app.letters_to("ada@example.org").into_iter().filter_map(|letter| letter.token).collect();
    assert_eq!(tokens.len(), 5);
    // every token three times, each with a password of its own
    let passwords: Vec<String> = (0..15).map(|n| format!("{PASSWORD} number {n}")).collect();
    let calls = passwords
        .iter()
        .enumerate()
        .map(|(n, password)| visitor.post("/v1/auth/register/complete", json!({ "token": tokens[n % 5], "name": "Ada", "password": password })));
    let answers = futures_util::future::join_all(calls).await;
    let winners: Vec<&String> = passwords.iter().zip(&answers).filter(|(_, answer)| answer.status == 201).map(|(password, _)| password).collect();
    assert_eq!(winners.len(), 1);
    assert!(answers.iter().all(|answer| answer.status == 201 || answer.code() == "INVALID_PROOF"));
    assert_eq!(app.count("SELECT count(*) FROM users JOIN passwords ON user_id = id").await, 1);
    assert_eq!(app.count("SELECT count(*) FROM mailed_proofs WHERE used_at IS NULL").await, 0, "every proof of the address is spent");
    assert_eq!(app.visitor().sign_in("ada@example.org", winners[0]).await.status, 200);
}
