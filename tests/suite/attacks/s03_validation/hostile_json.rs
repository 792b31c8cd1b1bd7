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
        (r#"{"email":"a@b.example","x":{"canary":1,"canary":2}}"#, 422, "INVALID"),
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

/// A client that asks once learns all of it.
#[actix_web::test]
async fn one_answer_names_everything_that_is_wrong() {
    let app = TestApp::start().await;
    let body = serde_json::json!({ "token": 1, "code": "012345678", "name": "", "canary": "canary" });
    let answer = app.visitor().post("/v1/auth/register/complete", body).await;
    let reasons: Vec<(String, String)> = answer.json()["error"]["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| (fault["field"].as_str().unwrap().to_owned(), fault["reason"].as_str().unwrap().to_owned()))
        .collect();
    let fields: Vec<&str> = reasons.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(fields.iter().collect::<std::collections::BTreeSet<_>>().len(), fields.len(), "each once: {fields:?}");
    for field in ["body", "token", "code", "name", "password"] {
        assert!(fields.contains(&field), "{field}: {reasons:?}");
    }
    assert!(!answer.text.contains("canary"), "{}", answer.text);
}

/// Inner objects are read as strictly as the body itself.
#[actix_web::test]
async fn inner_objects_are_no_way_around() {
    let app = TestApp::start().await;
    let root = app.administrator().await;
    app.create_account("ada@example.org").await;
    let path = format!("/v1/users/{}/roles", app.id_of("ada@example.org").await);
    let put = |body: String| Answer::of(root.request(Method::PUT, &path).header("content-type", "application/json").body(body));
    for roles in [
        r#"[{"role":"auditor","role":"administrator"}]"#,
        r#"[{"role":"auditor","expires_at":null,"expires_at":null}]"#,
        r#"[["auditor",null]]"#,
        r#"[{"role":"auditor","granted_by":"canary"}]"#,
        r#"[{"role":{"$ne":""}}]"#,
        r#"{"0":{"role":"auditor"}}"#,
        r#"[[[[[[[[[["auditor"]]]]]]]]]]"#,
    ] {
        let answer = put(format!(r#"{{"roles":{roles}}}"#)).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "INVALID"), "{roles}: {}", answer.text);
        assert!(!answer.text.contains("canary"), "{}", answer.text);
    }
    let many = vec![r#"{"role":"auditor"}"#; 600].join(",");
    let answer = put(format!(r#"{{"roles":[{many}]}}"#)).await;
    assert!(answer.text.contains("has more than 1000 values"), "{}", answer.text);
    assert_eq!(app.count("SELECT count(*) FROM user_roles WHERE role <> 'member'").await, 1, "the administrator's");
}
