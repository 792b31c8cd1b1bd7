//! A machine with a key asks in a loop: it is slowed down, and neither its owner nor the owner's other keys are.

use crate::support::app::TestApp;
use futures_util::future::join_all;

#[actix_web::test]
async fn a_key_that_runs_wild_uses_up_its_own_quota_only() {
    let app = TestApp::with(&[
        ("PORTCULLIS_API_KEY_QUOTA_BURST", "20"),
        ("PORTCULLIS_API_KEY_QUOTA_PER_SECOND", "1"),
        ("PORTCULLIS_PERSON_QUOTA_BURST", "60"),
        ("PORTCULLIS_PERSON_QUOTA_PER_SECOND", "1"),
    ])
    .await;
    let root = app.administrator().await;
    let (wild, calm) = (root.api_key(&["users:read"]).await, root.api_key(&["users:read"]).await);
    let answers = join_all((0..100).map(|_| wild.actor.get("/v1/users"))).await;
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    assert!((15..=30).contains(&served), "{served} of 100 were served");
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
    assert_eq!(refused.code(), "RATE_LIMITED");
    assert!(refused.header("ratelimit").contains("\"api_key\";r=0;t="), "{}", refused.header("ratelimit"));
    assert_eq!(calm.actor.get("/v1/users").await.status, 200, "another key has a bucket of its own");
    assert_eq!(root.get("/v1/me").await.status, 200, "and what was refused took nothing of the owner's");
}
