//! Bodies that are too large, too deep, doubled, of another type or in another encoding. None of them reaches a handler.

use crate::support::app::{Actor, Answer, TestApp};
use reqwest::Method;

async fn send(visitor: &Actor<'_>, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
    Answer::of(visitor.request(Method::POST, "/v1/auth/register").header("content-type", content_type).body(body)).await
}

#[actix_web::test]
async fn hostile_bodies_are_refused_and_not_repeated() {
    let app = TestApp::start().await;
    let visitor = app.visitor();
    let (open, close) = ("[".repeat(10_000), "]".repeat(10_000));
    let deep = format!(r#"{{"email":{open}{close}}}"#);
    for (body, status, code) in [
        (r#"{"email":"a@b.example","email":"canary@b.example"}"#, 422, "INVALID"),
        (r#"{"email":"a@b.example","canary":true}"#, 422, "INVALID"),
        (r#"{"email":{"$ne":"canary"}}"#, 422, "INVALID"),
        (r#"{"email":["canary@b.example"]}"#, 422, "INVALID"),
        (r#"{"email":null}"#, 422, "INVALID"),
        (r#"["canary"]"#, 422, "INVALID"),
        (r#"{"email":"canary"}"#, 422, "INVALID"),
        ("{}", 422, "INVALID"),
        (deep.as_str(), 422, "INVALID"),
        (open.as_str(), 422, "INVALID"),
        (r#"{"email":"a@b.example"} canary"#, 400, "MALFORMED"),
        ("canary", 400, "MALFORMED"),
        ("", 400, "MALFORMED"),
        ("\u{feff}{}", 400, "MALFORMED"),
    ] {
        let answer = send(&visitor, "application/json", body.to_owned()).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{body:.80}: {}", answer.text);
        assert!(!answer.text.contains("canary"), "{}", answer.text);
    }
    let not_utf8 = send(&visitor, "application/json", b"{\"email\":\"\xff@b.example\"}".to_vec()).await;
    assert_eq!(not_utf8.status, 400, "{}", not_utf8.text);
    assert_eq!(app.count("SELECT count(*) FROM mailed_proofs").await, 0);
}

#[actix_web::test]
async fn bodies_beyond_the_limit_are_refused_announced_or_not() {
    let app = TestApp::with(&[("PORTCULLIS_BODY_LIMIT", "1024")]).await;
    let visitor = app.visitor();
    let fits = format!("{:<1024}", r#"{"email":"a@b.example"}"#);
    assert_eq!(send(&visitor, "application/json", fits.clone()).await.status, 202);
    let announced = send(&visitor, "application/json", fits.clone() + " ").await;
    assert_eq!((announced.status.as_u16(), announced.code().as_str()), (413, "TOO_LARGE"));
    let chunks = futures_util::stream::iter([fits, " ".to_owned()].map(Ok::<_, std::io::Error>));
    let streamed = send(&visitor, "application/json", reqwest::Body::wrap_stream(chunks)).await;
    assert_eq!((streamed.status.as_u16(), streamed.code().as_str()), (413, "TOO_LARGE"));
}

#[actix_web::test]
async fn only_plain_json_is_read() {
    let app = TestApp::start().await;
    let visitor = app.visitor();
    let body = r#"{"email":"a@b.example"}"#;
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/jsonp",
        "",
    ] {
        let answer = send(&visitor, content_type, body).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (415, "UNSUPPORTED_MEDIA_TYPE"), "{content_type}");
    }
    let compressed = visitor.request(Method::POST, "/v1/auth/register").header("content-type", "application/json").header("content-encoding", "gzip");
    assert_eq!(Answer::of(compressed.body(body)).await.code(), "UNSUPPORTED_MEDIA_TYPE");
    assert_eq!(send(&visitor, "application/json; charset=UTF-8", body).await.status, 202);
}
