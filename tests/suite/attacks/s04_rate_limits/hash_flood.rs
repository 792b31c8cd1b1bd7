//! A flood of sign-ins, to keep every core busy with argon2. The queue is short; what does not fit is told so at once, and other
//! routes answer.

use crate::support::app::TestApp;
use serde_json::json;

#[actix_web::test]
async fn a_hash_flood_fills_a_bounded_queue_and_nothing_else() {
    let app = TestApp::with(&[("PORTCULLIS_HASH_QUEUE", "3")]).await;
    let guesses = (0..40).map(|n| {
        let mut visitor = app.visitor();
        async move { visitor.sign_in(&format!("ada{n}@example.org"), "a guess").await }
    });
    let visitor = app.visitor();
    let (answers, alive) = futures_util::future::join(futures_util::future::join_all(guesses), visitor.get("/readyz")).await;
    assert_eq!(alive.status, 200);
    let served = answers.iter().filter(|answer| answer.status == 401).count();
    assert_eq!(app.state.passwords.computed(), served as u64);
    let refused = answers.iter().find(|answer| answer.status != 401).expect("some did not fit");
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (503, "UNAVAILABLE"));
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
}

/// One letter is enough to send new passwords again and again that are refused and leave it unspent; each could be made of what
/// the strength estimate takes longest for.
#[actix_web::test]
async fn new_passwords_are_judged_a_few_times() {
    let app = TestApp::with(&[("PORTCULLIS_NEW_PASSWORD_QUOTA", "3")]).await;
    app.visitor().post("/v1/auth/register", json!({ "email": "mallory@example.org" })).await;
    let token = app.letter_to("mallory@example.org").await.token;
    let visitor = app.visitor();
    let body = json!({ "token": token, "name": "Mallory", "password": "aaaaaaaaaaaaaaaaaaaaaaa" });
    let answers = futures_util::future::join_all((0..10).map(|_| visitor.post("/v1/auth/register/complete", body.clone()))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 422).count(), 3, "{:?}", answers[0].text);
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 7);
}
