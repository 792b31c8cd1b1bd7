//! A page frames the service, guesses media types, or waits for one answer without the headers: an error, a refusal of a layer,
//! a page, a preflight.

use crate::support::app::{Answer, TestApp};
use reqwest::Method;
use serde_json::json;

#[actix_web::test]
async fn every_kind_of_answer_carries_all_headers() {
    let app = TestApp::start().await;
    let visitor = app.visitor();
    let preflight =
        visitor.request(Method::OPTIONS, "/v1/me").header("origin", "https://evil.example").header("access-control-request-method", "GET");
    let answers = [
        ("success", visitor.get("/livez").await),
        ("page", visitor.get("/go/register").await),
        ("viewer", visitor.get("/docs/index.html").await),
        ("nothing here", visitor.get("/nothing").await),
        ("wrong method", visitor.patch("/livez", json!({})).await),
        ("not signed in", visitor.get("/v1/me").await),
        ("invalid", visitor.post("/v1/auth/login", json!({})).await),
        ("csrf", Answer::of(visitor.request(Method::POST, "/v1/auth/login").header("origin", "null")).await),
        ("preflight", Answer::of(preflight).await),
    ];
    for (kind, answer) in answers {
        assert_eq!(answer.header("strict-transport-security"), "max-age=300", "{kind}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{kind}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{kind}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{kind}");
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin", "{kind}");
        assert_eq!(answer.header("cache-control"), "no-store", "{kind}");
        assert!(answer.header("permissions-policy").contains("camera=()"), "{kind}");
        let csp = answer.header("content-security-policy");
        assert!(csp.contains("default-src 'none'") && csp.contains("frame-ancestors 'none'") && !csp.contains("unsafe"), "{kind}: {csp}");
        assert!(answer.headers.get("server").is_none() && answer.headers.get("x-powered-by").is_none(), "{kind}");
        assert!(!answer.header("x-request-id").is_empty(), "{kind}");
    }
}

#[actix_web::test]
async fn pages_hold_no_inline_code() {
    let app = TestApp::start().await;
    for path in ["/go/register", "/docs/index.html"] {
        let page = app.visitor().get(path).await;
        assert_eq!(page.status, 200, "{path}");
        let text = page.text.to_lowercase();
        let inline = text.split("<script").skip(1).any(|script| !script.split('>').next().unwrap().contains("src="));
        assert!(!inline && !text.contains(" onclick=") && !text.contains("javascript:"), "{path}");
        assert!(!text.contains("//unpkg") && !text.contains("https://"), "{path} loads from elsewhere");
    }
}
