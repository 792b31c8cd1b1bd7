//! A client announces a body and never finishes it, to hold a place for ever.

use crate::support::app::{Answer, TestApp, over_http1};
use futures_util::StreamExt;
use reqwest::{Body, Method};

#[actix_web::test]
async fn a_body_that_never_ends_is_given_up() {
    let app = TestApp::with(&[("PORTCULLIS_REQUEST_TIMEOUT_SECONDS", "1")]).await;
    let start = futures_util::stream::iter([Ok::<_, std::io::Error>("{\"email\":")]);
    let body = Body::wrap_stream(start.chain(futures_util::stream::pending()));
    let answer = Answer::of(app.visitor().request(Method::POST, "/v1/auth/register").header("content-type", "application/json").body(body)).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (408, "TIMEOUT"));
    // HTTP/2 resets the stream instead
    assert_eq!(answer.header("connection"), if over_http1() { "close" } else { "" });
    assert!(!answer.header("x-request-id").is_empty() && !answer.header("content-security-policy").is_empty());
}
