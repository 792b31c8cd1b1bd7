//! A sibling site plants its owner's own session in the victim's browser, under a name that browsers do not guard and a lenient
//! parser takes for ours; the victim then works in the attacker's account.

use crate::support::app::{Answer, TestApp};
use reqwest::Method;
use serde_json::json;

#[actix_web::test]
async fn only_the_exact_name_counts_and_only_once() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await.cookie.unwrap();
    let mallory = app.member("mallory@example.org").await.cookie.unwrap();
    let value = mallory.split_once('=').unwrap().1;
    for name in ["__Host%2Dportcullis", "%5F%5FHost-portcullis", "__host-portcullis", "__Host-portcullis ", "__Host-portcullis%20"] {
        for cookies in [format!("{name}={value}; {ada}"), format!("{ada}; {name}={value}")] {
            let me = Answer::of(app.visitor().request(Method::GET, "/v1/me").header("cookie", &cookies)).await;
            assert_eq!(me.json()["email"], "ada@example.org", "{name}");
        }
        let alone = Answer::of(app.visitor().request(Method::GET, "/v1/me").header("cookie", format!("{name}={value}"))).await;
        assert_eq!(alone.status, 401, "{name}");
    }
    let twice = Answer::of(app.visitor().request(Method::GET, "/v1/me").header("cookie", format!("{mallory}; {ada}"))).await;
    assert_eq!((twice.status.as_u16(), twice.code().as_str()), (400, "MALFORMED"), "whose is which?");
}

#[actix_web::test]
async fn a_planted_refresh_cookie_refreshes_nothing_and_breaks_nothing() {
    let app = TestApp::start().await;
    for email in ["ada@example.org", "mallory@example.org"] {
        app.create_account(email).await;
    }
    let (mut page, mut mallory) = (app.visitor(), app.visitor());
    mallory.sign_in_by_page("mallory@example.org").await;
    page.refresh = mallory.refresh.clone();
    let planted = page.post("/v1/auth/token/refresh", json!({})).await;
    assert_eq!(planted.code(), "INVALID_REFRESH_TOKEN", "the victim would work in the attacker's session");
    assert!(planted.cookie_named("__Secure-portcullis-refresh").is_none());

    let (_, in_body) = app.token_sign_in("mallory@example.org").await;
    page.refresh = Some(format!("__Secure-portcullis-refresh={in_body}"));
    assert_eq!(page.post("/v1/auth/token/refresh", json!({})).await.code(), "INVALID_REFRESH_TOKEN", "out of a body, and a browser without a tie");

    page.sign_in_by_page("ada@example.org").await;
    let own = page.refresh.clone().unwrap();
    page.refresh = mallory.refresh.clone();
    assert_eq!(page.post("/v1/auth/token/refresh", json!({})).await.code(), "INVALID_REFRESH_TOKEN", "the tie is of another session");
    page.refresh = Some(format!("{own}; {}", mallory.refresh.clone().unwrap()));
    assert_eq!(page.post("/v1/auth/token/refresh", json!({})).await.code(), "INVALID_REFRESH_TOKEN", "whose is which?");
    assert_eq!(page.get("/livez").await.status, 200, "what needs no refresh token goes on");
    page.refresh = Some(own);
    assert_eq!(page.post("/v1/auth/token/refresh", json!({})).await.status, 200, "nothing was spent");

    // nor is a token out of a cookie of use in a body, nor one out of a body in a cookie
    let copied = mallory.refresh.unwrap().split_once('=').unwrap().1.to_owned();
    assert_eq!(page.exchange(&copied).await.code(), "INVALID_REFRESH_TOKEN");
    page.refresh = Some(format!("__Secure-portcullis-refresh={in_body}"));
    assert_eq!(page.post("/v1/auth/token/refresh", json!({})).await.code(), "INVALID_REFRESH_TOKEN");
}
