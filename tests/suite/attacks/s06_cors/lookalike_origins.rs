//! Pages of origins that look like an allowed one try to read answers.

use crate::support::app::{Answer, TestApp};
use portcullis::settings::Settings;
use reqwest::Method;

const ALLOWED: &str = "https://app.example";

async fn app() -> TestApp {
    TestApp::with(&[("PORTCULLIS_CORS_ORIGINS", "https://app.example, https://other.example:8443")]).await
}

const LOOKALIKES: [&str; 24] = [
    "https://app.example.evil.test",
    "https://evil-app.example",
    "https://evilapp.example",
    "https://sub.app.example",
    "http://app.example",
    "https://app.example:8443",
    "https://other.example",
    "https://APP.example",
    "https://app.example.",
    "https://app.example@evil.test",
    "https://app.examp\u{6c}e.evil.test",
    "https://app.example:443",
    "https://app.example:80",
    "https://other.example:443",
    "https://other.example:84430",
    "HTTPS://app.example",
    "https://app.example/",
    "https://app.example/x",
    "https://app.example?",
    "https://evil.test@app.example",
    "https://app.example, https://evil.test",
    "app.example",
    "",
    "null",
];

#[actix_web::test]
async fn lookalikes_read_nothing() {
    let app = app().await;
    let visitor = app.visitor();
    for origin in LOOKALIKES {
        let answer = Answer::of(visitor.request(Method::GET, "/livez").header("origin", origin)).await;
        assert!(answer.headers.get("access-control-allow-origin").is_none(), "{origin}");
        assert!(answer.header("vary").contains("Origin"), "{origin}: a cache must not give this answer to another origin");
        let preflight = visitor.request(Method::OPTIONS, "/v1/me").header("origin", origin).header("access-control-request-method", "GET");
        let preflight = Answer::of(preflight).await;
        assert_eq!((preflight.status.as_u16(), preflight.code().as_str()), (403, "ORIGIN_NOT_ALLOWED"), "{origin}");
        assert!(preflight.headers.get("access-control-allow-origin").is_none() && preflight.header("vary").contains("Origin"), "{origin}");
    }
    assert!(visitor.get("/livez").await.header("vary").contains("Origin"), "without an origin too");
}

/// What is listed is a list of origins; anything else keeps the service from starting.
#[test]
fn only_origins_can_be_listed() {
    let listed = |origins: &str| {
        let values = [("PORTCULLIS_CORS_ORIGINS".to_owned(), origins.to_owned())];
        Settings::from_map(values.into()).map(|settings| settings.cors_origins.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(listed("https://App.Localhost:443/, https://b.localhost:8443").unwrap(), ["https://app.localhost", "https://b.localhost:8443"]);
    for origins in ["*", "null", "https://*.example", "https://u:p@a.example", "https://a.example/x", "a.example", "file:///x", "https://a.example#x"]
    {
        assert!(listed(origins).is_err(), "{origins}");
    }
}

/// A page on the internet asks to reach a service on the victim's own network.
#[actix_web::test]
async fn private_networks_stay_private() {
    let app = app().await;
    for name in ["access-control-request-private-network", "access-control-request-local-network"] {
        let preflight = app.visitor().request(Method::OPTIONS, "/v1/me").header("origin", ALLOWED).header("access-control-request-method", "GET");
        let answer = Answer::of(preflight.header(name, "true")).await;
        assert_eq!(answer.status, 200);
        assert!(answer.headers.keys().all(|name| !name.as_str().ends_with("-network")), "{answer:?}");
    }
}

#[actix_web::test]
async fn preflights_cost_no_quota() {
    let quota = [("PORTCULLIS_ADDRESS_QUOTA_BURST", "3"), ("PORTCULLIS_ADDRESS_QUOTA_PER_SECOND", "1"), ("PORTCULLIS_CORS_ORIGINS", ALLOWED)];
    let app = TestApp::with(&quota).await;
    let visitor = app.visitor();
    let preflight = || visitor.request(Method::OPTIONS, "/v1/me").header("origin", ALLOWED).header("access-control-request-method", "PATCH");
    for answer in futures_util::future::join_all((0..200).map(|_| Answer::of(preflight()))).await {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    for _ in 0..3 {
        let answer = Answer::of(visitor.request(Method::GET, "/livez").header("origin", ALLOWED)).await;
        assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (200, ALLOWED), "the whole quota is there");
    }
}

#[actix_web::test]
async fn an_allowed_origin_gets_its_own_name_and_no_star() {
    let app = app().await;
    let visitor = app.visitor();
    let answer = Answer::of(visitor.request(Method::GET, "/v1/me").header("origin", ALLOWED)).await;
    assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (401, ALLOWED));
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
    assert!(answer.header("vary").to_lowercase().contains("origin"));
    let preflight = |method: &str, headers: &str| {
        let request = visitor.request(Method::OPTIONS, "/v1/me").header("origin", ALLOWED).header("access-control-request-method", method);
        Answer::of(request.header("access-control-request-headers", headers))
    };
    let allowed = preflight("PATCH", "content-type,traceparent,x-csrf-token").await;
    assert_eq!((allowed.status.as_u16(), allowed.header("access-control-allow-origin")), (200, ALLOWED));
    for listed in ["access-control-allow-methods", "access-control-allow-headers"] {
        assert!(!allowed.header(listed).contains('*'), "{listed}");
    }
    for method in ["TRACE", "CONNECT", "OPTIONS", "patch", "*", "PROPFIND"] {
        assert_eq!(preflight(method, "content-type").await.status, 403, "{method}");
    }
    for header in ["x-forwarded-for", "cookie", "origin", "x-http-method-override", "x-request-id", "*", "content-type, x-evil"] {
        assert_eq!(preflight("PATCH", header).await.status, 403, "{header}");
    }
}

#[actix_web::test]
async fn with_nobody_on_the_list_no_answer_speaks_of_credentials() {
    let app = TestApp::start().await;
    let answer = Answer::of(app.visitor().request(Method::GET, "/livez").header("origin", ALLOWED)).await;
    assert!(answer.headers.get("access-control-allow-origin").is_none() && answer.headers.get("access-control-allow-credentials").is_none());
}

/// A page that is allowed must be able to read why it was refused, whichever layer refused it.
#[actix_web::test]
async fn refusals_of_every_layer_are_readable_for_an_allowed_page() {
    let settings = [("PORTCULLIS_CORS_ORIGINS", ALLOWED), ("PORTCULLIS_REQUEST_TIMEOUT_SECONDS", "1"), ("PORTCULLIS_LOGIN_QUOTA", "1")];
    let app = TestApp::with(&settings).await;
    let ada = app.member("ada@example.org").await;
    let visitor = app.visitor();
    let from_page = |request: reqwest::RequestBuilder| Answer::of(request.header("origin", ALLOWED));
    let login = || visitor.request(Method::POST, "/v1/auth/login").json(&serde_json::json!({ "email": "eve@example.org", "password": "x" }));
    let never_ends = reqwest::Body::wrap_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let slow = visitor.request(Method::POST, "/v1/auth/login").header("content-type", "application/json").body(never_ends);
    from_page(login()).await;
    let mut answers = vec![
        (404, from_page(visitor.request(Method::GET, "/nothing")).await),
        (400, from_page(visitor.request(Method::GET, "/v1/me").header("cookie", "__Host-portcullis=a; __Host-portcullis=b")).await),
        (429, from_page(login()).await),
        (408, from_page(slow).await),
    ];
    app.state.pool.close().await;
    answers.push((503, from_page(ada.request(Method::GET, "/v1/me")).await));
    for (status, answer) in answers {
        assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (status, ALLOWED), "{}", answer.text);
        assert!(!answer.code().is_empty() && !answer.header("content-security-policy").is_empty(), "{answer:?}");
    }
}
