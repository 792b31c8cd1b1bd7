//! The same forgeries against every unsafe call there is: the layer must have left none out.

use crate::support::{
    app::{Actor, Answer, PASSWORD, PUBLIC_URL, TestApp},
    operations::{Operation, fingerprint, operations},
};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

fn unsafe_operations() -> Vec<Operation> {
    operations().into_iter().filter(|operation| !operation.method.is_safe()).collect()
}

/// With the actor's cookie, and the body that the call wants.
fn call(actor: &Actor<'_>, operation: &Operation, url: &str) -> RequestBuilder {
    let request = actor.request(operation.method.clone(), url);
    match operation.body() {
        Some(body) => request.json(&body),
        None => request,
    }
}

#[actix_web::test]
async fn no_forged_call_changes_anything() {
    let app = TestApp::with(&[("PORTCULLIS_CORS_ORIGINS", "https://app.example")]).await;
    let root = app.administrator().await;
    let other = app.sign_in("root@example.org").await;
    let mut bare = root.clone();
    let token = bare.csrf.take().unwrap();
    app.all_letters_sent().await;
    let before = fingerprint(&app).await;
    let mut tried = 0;
    for operation in unsafe_operations() {
        let url = operation.url();
        let (right, wrong) = (|| call(&root, &operation, &url), || call(&bare, &operation, &url));
        let cookies = format!("{}; x-csrf-token={token}; csrf_token={token}", root.cookie.as_deref().unwrap());
        let form = |media_type: &'static str| bare.request(operation.method.clone(), &url).header("content-type", media_type).body("{}");
        for (kind, request) in [
            ("no token", wrong()),
            ("no token, from our own page", wrong().header("origin", PUBLIC_URL)),
            ("wrong token", wrong().header("x-csrf-token", "x".repeat(token.len()))),
            ("empty token", wrong().header("x-csrf-token", "")),
            ("another session's token", wrong().header("x-csrf-token", other.csrf.as_deref().unwrap())),
            ("half of the token", wrong().header("x-csrf-token", &token[..token.len() / 2])),
            ("two tokens", wrong().header("x-csrf-token", "x").header("x-csrf-token", &token)),
            ("token in the query", call(&bare, &operation, &format!("{url}?x-csrf-token={token}&csrf_token={token}"))),
            ("token in a cookie", app.visitor().request(operation.method.clone(), &url).header("cookie", cookies).json(&json!({}))),
            ("token under other names", wrong().header("x-xsrf-token", &token).header("csrf-token", &token)),
            ("foreign origin", right().header("origin", "https://evil.example")),
            ("opaque origin", right().header("origin", "null")),
            ("empty origin", right().header("origin", "")),
            ("our origin in other letters", right().header("origin", PUBLIC_URL.to_uppercase())),
            ("two origins", right().header("origin", PUBLIC_URL).header("origin", "https://evil.example")),
            ("cross-site", right().header("sec-fetch-site", "cross-site")),
            ("same-site", right().header("sec-fetch-site", "same-site")),
            ("said twice", right().header("sec-fetch-site", "same-origin").header("sec-fetch-site", "cross-site")),
            ("a form's text", form("text/plain")),
            ("a form", form("application/x-www-form-urlencoded")),
            ("a form with files", form("multipart/form-data; boundary=x")),
        ] {
            let answer = Answer::of(request).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "CSRF_REJECTED"), "{kind}: {}: {}", operation.name(), answer.text);
            assert!(answer.headers.get("set-cookie").is_none(), "{kind}: {}", operation.name());
            tried += 1;
        }
    }
    assert!(tried > 500, "{tried} were tried");
    assert_eq!(fingerprint(&app).await, before, "nothing changed");
}

/// With the right token the layer lets each through, to whatever the call itself says.
#[actix_web::test]
async fn with_its_token_every_call_gets_through() {
    let app = TestApp::with(&[("PORTCULLIS_CORS_ORIGINS", "https://app.example")]).await;
    let mut root = app.administrator().await;
    let pages = [("origin", PUBLIC_URL), ("origin", "https://app.example"), ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none")];
    for operation in unsafe_operations() {
        for (name, value) in pages.into_iter().chain([("accept", "*/*")]) {
            let request = root.request(operation.method.clone(), &operation.url()).header(name, value);
            let answer = Answer::of(if operation.has_body() { request.json(&json!([])) } else { request }).await;
            assert_ne!(answer.code(), "CSRF_REJECTED", "{} {name}: {value}", operation.name());
            assert_eq!(answer.status == 422, operation.has_body(), "{} {name}: {value}: {}", operation.name(), answer.text);
            // some of them end sessions
            if root.get("/v1/me").await.status == 401 {
                root = app.sign_in("root@example.org").await;
            }
        }
    }
}

/// A safe method stays safe, whatever a header or the query says it should have been.
#[actix_web::test]
async fn a_method_is_what_it_is() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    app.sign_in("ada@example.org").await;
    app.all_letters_sent().await;
    let before = fingerprint(&app).await;
    for header in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let read = Answer::of(ada.request(Method::GET, "/v1/me/sessions").header(header, "DELETE")).await;
        assert_eq!(read.json()["items"].as_array().unwrap().len(), 2, "{header}");
        let posted = Answer::of(ada.request(Method::POST, "/v1/me").header(header, "PATCH").json(&json!({ "name": "Mallory" }))).await;
        assert_eq!(posted.code(), "METHOD_NOT_ALLOWED", "{header}");
    }
    assert_eq!(ada.get("/v1/me/sessions?_method=DELETE").await.json()["items"].as_array().unwrap().len(), 2);
    for method in [Method::GET, Method::HEAD] {
        assert_eq!(Answer::of(ada.request(method, "/v1/auth/logout")).await.status, 405);
    }
    assert_eq!(fingerprint(&app).await, before, "nothing changed");
}

async fn rename(actor: &Actor<'_>, token: &Option<String>) -> u16 {
    let mut actor = actor.clone();
    actor.csrf.clone_from(token);
    actor.patch("/v1/me", json!({ "name": "Countess" })).await.status.as_u16()
}

/// A token that was seen before the session was renewed is worth nothing behind it.
#[actix_web::test]
async fn tokens_die_when_the_session_is_renewed() {
    let app = TestApp::start().await;
    let mut ada = app.member("ada@example.org").await;
    let first = ada.csrf.clone();
    assert_eq!(rename(&ada, &first).await, 200);
    assert_eq!(ada.sign_in("ada@example.org", PASSWORD).await.status, 200);
    let second = ada.csrf.clone();
    assert_eq!((rename(&ada, &first).await, rename(&ada, &second).await), (403, 200), "signed in again");

    let changed = ada.post("/v1/me/password", json!({ "current_password": PASSWORD, "password": "slow otters count the harbour lights" })).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    ada.cookie = changed.cookie();
    let third = changed.json()["csrf_token"].as_str().map(str::to_owned);
    assert_eq!((rename(&ada, &first).await, rename(&ada, &second).await, rename(&ada, &third).await), (403, 403, 200), "proven anew");
    assert_eq!(ada.get("/v1/auth/csrf").await.json()["csrf_token"].as_str(), third.as_deref());

    let (bob, _) = app.token_member("bob@example.org").await;
    assert_eq!(bob.get("/v1/auth/csrf").await.code(), "UNAUTHENTICATED", "a session with tokens has none");
}
