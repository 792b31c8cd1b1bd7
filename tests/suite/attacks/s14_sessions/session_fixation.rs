//! The attacker plants a session id of theirs in the victim's browser and waits for the victim to sign in.

use crate::support::app::{PASSWORD, TestApp};

#[actix_web::test]
async fn signing_in_renews_the_id_and_ends_what_was_there() {
    let app = TestApp::start().await;
    let mallory = app.member("mallory@example.org").await;
    app.create_account("ada@example.org").await;

    let mut victim = mallory.clone();
    let planted = victim.cookie.clone();
    assert_eq!(victim.sign_in("ada@example.org", PASSWORD).await.status, 200);
    assert_ne!(victim.cookie, planted);
    assert_ne!(victim.csrf, mallory.csrf);
    assert_eq!(victim.get("/v1/me").await.json()["email"], "ada@example.org");
    assert_eq!(mallory.get("/v1/me").await.status, 401, "the planted id leads nowhere");
    let live = app.count("SELECT count(*) FROM sessions WHERE revoked_at IS NULL").await;
    assert_eq!(live, 1);
}

#[actix_web::test]
async fn nobody_gets_a_session_before_they_sign_in() {
    let app = TestApp::start().await;
    let visitor = app.visitor();
    for answer in [visitor.get("/livez").await, visitor.get("/v1/me").await, visitor.clone().sign_in("ada@example.org", "wrong").await] {
        assert!(answer.headers.get("set-cookie").is_none());
    }
    assert_eq!(app.count("SELECT count(*) FROM sessions").await, 0);
}
