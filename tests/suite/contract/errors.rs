//! Error codes: what is written about them for people is what the service answers.

use crate::support::app::{PUBLIC_URL, TestApp};
use portcullis::error::ErrorCode;
use std::fs;

const HEAD: &str = "# Error codes\n\nWritten from the list in `src/error/code.rs` and held to it by a test; the service serves the same as a page, `/docs/errors`, and each\n\
                    refusal's `docs` leads to its code there. Decide by `code`; texts may change. `request_id` names the request in the log.\n";

#[test]
fn the_document_of_codes_says_what_the_list_says() {
    let mut right = HEAD.to_owned();
    for code in ErrorCode::ALL {
        let (name, status) = (code.name(), code.status().as_u16());
        right.push_str(&format!("\n## {name}\n\n{status}: “{}”\n\n{}\n\n**What to do:** {}\n", code.message(), code.about(), code.remedy()));
    }
    let place = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("errors.md");
    fs::write(&place, &right).unwrap();
    assert!(fs::read_to_string("docs/errors.md").unwrap_or_default() == right, "docs/errors.md is behind; copy {}", place.display());
}

#[actix_web::test]
async fn each_refusal_leads_to_its_code_on_a_page_of_the_service() {
    let app = TestApp::start().await;
    let page = app.visitor().get("/docs/errors").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").starts_with("default-src 'none'; script-src 'self'"), "{:?}", page.headers);
    for code in ErrorCode::ALL {
        let place = format!("<h2 id=\"{}\">{}</h2>", code.anchor(), code.name());
        assert!(page.text.contains(&place), "{place} is not on the page");
    }
    assert!(!page.text.contains("://"), "nothing from other hosts");
    let refusal = app.visitor().get("/v1/me").await;
    assert_eq!(refusal.json()["error"]["docs"].as_str(), Some(format!("{PUBLIC_URL}/docs/errors#unauthenticated").as_str()));
}

/// Made by a handler, a guard, a layer of ours and the framework: the caller can always name the request.
#[actix_web::test]
async fn every_refusal_carries_the_request_id_of_its_header() {
    let app = TestApp::with(&[("PORTCULLIS_BODY_LIMIT", "1024"), ("PORTCULLIS_CORS_ORIGINS", "https://app.localhost:8443")]).await;
    let ada = app.member("ada@example.org").await;
    let visitor = app.visitor();
    let own = |path: &str, name: &'static str, value: &'static str| ada.request(reqwest::Method::POST, path).header(name, value);
    let requests = [
        ("NOT_FOUND", visitor.request(reqwest::Method::GET, "/nothing")),
        ("METHOD_NOT_ALLOWED", visitor.request(reqwest::Method::DELETE, "/livez")),
        ("UNAUTHENTICATED", visitor.request(reqwest::Method::GET, "/v1/me")),
        ("CSRF_REJECTED", own("/v1/auth/logout", "origin", "https://evil.example")),
        ("MALFORMED", own("/v1/me/password", "content-type", "application/json").body("{")),
        ("TOO_LARGE", own("/v1/me/password", "content-type", "application/json").body(" ".repeat(2000))),
        ("MALFORMED", visitor.request(reqwest::Method::GET, "/v1/me").header("cookie", "__Host-portcullis=a; __Host-portcullis=b")),
        ("INVALID_PROOF", visitor.request(reqwest::Method::POST, "/v1/auth/email/confirm").json(&serde_json::json!({ "token": "x" }))),
    ];
    for (code, request) in requests {
        let answer = crate::support::app::Answer::of(request).await;
        assert_eq!(answer.code(), code, "{}", answer.text);
        assert_eq!(answer.json()["error"]["request_id"].as_str(), Some(answer.header("x-request-id")), "{}", answer.text);
    }
}
