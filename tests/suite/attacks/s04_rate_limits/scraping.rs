//! Somebody who is signed in fetches everything, from as many addresses and sessions as it takes.

use crate::support::app::{Answer, TestApp};
use reqwest::Method;

#[actix_web::test]
async fn a_person_who_asks_too_much_is_slowed_down_whatever_address_or_session_it_comes_from() {
    let app = TestApp::with(&[
        ("PORTCULLIS_PERSON_QUOTA_BURST", "20"),
        ("PORTCULLIS_PERSON_QUOTA_PER_SECOND", "1"),
        ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1/32"),
    ])
    .await;
    let mallory = app.member("mallory@example.org").await;
    let (by_token, _) = app.token_sign_in("mallory@example.org").await;
    let ada = app.member("ada@example.org").await;
    let calls = (0..60).map(|n| {
        let actor = if n % 2 == 0 { &mallory } else { &by_token };
        Answer::of(actor.request(Method::GET, "/v1/me").header("x-forwarded-for", format!("203.0.113.{n}")))
    });
    let answers = futures_util::future::join_all(calls).await;
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    assert!((15..=30).contains(&served), "{served} of 60 were served");
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
    assert_eq!(refused.code(), "RATE_LIMITED");
    assert!(refused.header("ratelimit").contains("\"person\";r=0;t="), "{}", refused.header("ratelimit"));
    assert_eq!(ada.get("/v1/me").await.status, 200, "somebody else has a bucket of their own");
    assert_eq!(app.visitor().get("/livez").await.status, 200, "and who is not signed in needs none");
}
