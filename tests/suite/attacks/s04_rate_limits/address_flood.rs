//! One address sends more than its share.

use crate::support::app::{Answer, TestApp};
use reqwest::Method;

#[actix_web::test]
async fn a_flood_from_one_address_is_cut_off_with_the_time_to_wait() {
    let app = TestApp::with(&[
        ("PORTCULLIS_ADDRESS_QUOTA_BURST", "5"),
        ("PORTCULLIS_ADDRESS_QUOTA_PER_SECOND", "1"),
        ("PORTCULLIS_CORS_ORIGINS", "https://app.example"),
    ])
    .await;
    let visitor = app.visitor();
    let flood = futures_util::future::join_all((0..40).map(|_| visitor.get("/livez"))).await;
    let served = flood.iter().filter(|answer| answer.status == 200).count();
    assert!((5..=15).contains(&served), "{served} of 40 were served");
    let refused = flood.iter().find(|answer| answer.status == 429).unwrap();
    assert_eq!(refused.code(), "RATE_LIMITED");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!(wait >= 1);
    assert_eq!(refused.header("ratelimit"), format!("\"address\";r=0;t={wait}"));
    assert_eq!(refused.header("ratelimit-policy"), "\"address\";q=5;w=5");
    let let_in = flood.iter().find(|answer| answer.status == 200).unwrap();
    assert!(let_in.header("ratelimit").starts_with("\"address\";r="), "what is left is told in time: {}", let_in.header("ratelimit"));
    assert!(!refused.header("strict-transport-security").is_empty(), "refusals carry the headers too");

    let from_page = visitor.request(Method::GET, "/livez").header("origin", "https://app.example");
    let from_page = app.wait_for("a refusal", async || Some(Answer::of(from_page.try_clone()?).await).filter(|answer| answer.status == 429)).await;
    assert_eq!(from_page.header("access-control-allow-origin"), "https://app.example", "a page may read why it was refused");
    let exposed = from_page.header("access-control-expose-headers").to_lowercase();
    assert!(["retry-after", "ratelimit", "ratelimit-policy"].iter().all(|name| exposed.split(',').any(|one| one.trim() == *name)), "{exposed}");
    let preflight = visitor
        .request(Method::OPTIONS, "/v1/me")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "PATCH")
        .header("access-control-request-headers", "content-type,x-csrf-token");
    for _ in 0..10 {
        assert_eq!(Answer::of(preflight.try_clone().unwrap()).await.status, 200, "a preflight costs nothing");
    }
}

/// A stranger whose calls are all refused pays for them, and is told so.
#[actix_web::test]
async fn what_is_refused_says_what_is_left_too() {
    let app = TestApp::start().await;
    let (visitor, member) = (app.visitor(), app.member("ada@example.org").await);
    let told = |answer: &Answer, quota: &str| answer.headers.get_all("ratelimit").iter().any(|value| value.to_str().unwrap().starts_with(quota));
    let nobody = visitor.get("/v1/me").await;
    let forged = Answer::of(visitor.request(Method::GET, "/v1/me").header("authorization", "Bearer forged")).await;
    let beyond = member.get("/v1/users").await;
    for (answer, status) in [(&nobody, 401), (&forged, 401), (&beyond, 403)] {
        assert_eq!(answer.status, status);
        assert!(told(answer, "\"address\";r=") && !answer.header("ratelimit-policy").is_empty(), "{status}: {:?}", answer.headers);
    }
    assert!(told(&beyond, "\"person\";r="), "{:?}", beyond.headers);
}
