//! A call with an Authorization header skips the CSRF token, because a foreign page cannot set that header. So the header must
//! not ride on the cookie.

use crate::support::app::{Answer, TestApp};
use reqwest::Method;
use serde_json::json;

#[actix_web::test]
async fn with_an_authorization_header_the_cookie_speaks_for_nobody() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    for value in ["Bearer x", "Basic eDp5", ""] {
        let read = Answer::of(ada.request(Method::GET, "/v1/me").header("authorization", value)).await;
        assert_eq!(read.status, 401, "{value:?}");
        let change = Answer::of(ada.request(Method::PATCH, "/v1/me").header("authorization", value).json(&json!({ "name": "x" }))).await;
        assert_eq!(change.status, 401, "{value:?}");
    }
    assert_eq!(ada.get("/v1/me").await.json()["name"], "Ada");
}
