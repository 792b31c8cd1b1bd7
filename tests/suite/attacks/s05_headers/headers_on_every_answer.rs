//! A page frames the service, guesses media types, or waits for one answer without the headers: an error, a refusal of a layer,
//! a page, a preflight.

use crate::support::{
    app::{Answer, TestApp},
    operations::operations,
};
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
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{kind}");
        assert_eq!(answer.header("cross-origin-embedder-policy"), "require-corp", "{kind}");
        assert_eq!((answer.header("origin-agent-cluster"), answer.header("x-permitted-cross-domain-policies")), ("?1", "none"), "{kind}");
        assert!(answer.header("vary").contains("Origin"), "{kind}: {}", answer.header("vary"));
        assert_eq!(answer.header("cache-control"), "no-store", "{kind}");
        assert!(answer.header("permissions-policy").contains("camera=()"), "{kind}");
        let csp = answer.header("content-security-policy");
        assert!(csp.contains("default-src 'none'") && csp.contains("frame-ancestors 'none'") && !csp.contains("unsafe"), "{kind}: {csp}");
        assert!(answer.headers.get("server").is_none() && answer.headers.get("x-powered-by").is_none(), "{kind}");
        assert!(!answer.header("x-request-id").is_empty(), "{kind}");
    }
}

/// Every route, as a stranger and as an administrator; what is somebody's own is kept nowhere.
#[actix_web::test]
async fn no_route_is_left_out() {
    let app = TestApp::start().await;
    let mut root = app.administrator().await;
    for operation in operations() {
        let mut answers = Vec::new();
        for actor in [&app.visitor(), &root] {
            let request = actor.request(operation.method.clone(), &operation.url());
            answers.push(Answer::of(if operation.has_body() { request.json(&json!({})) } else { request }).await);
        }
        for answer in answers {
            let name = format!("{} {}", operation.name(), answer.status);
            for header in EVERYWHERE {
                assert_eq!(answer.headers.get_all(header).iter().count(), 1, "{name}: {header}");
            }
            assert!(answer.headers.get("server").is_none() && answer.headers.get("x-powered-by").is_none(), "{name}");
            let is_public_list = operation.path == "/.well-known/jwks.json" && answer.status == 200;
            assert_eq!(answer.header("cache-control") == "no-store", !is_public_list, "{name}");
        }
        if root.get("/v1/me").await.status == 401 {
            root = app.sign_in("root@example.org").await;
        }
    }
}

const EVERYWHERE: [&str; 14] = [
    "cache-control",
    "content-security-policy",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "origin-agent-cluster",
    "permissions-policy",
    "referrer-policy",
    "strict-transport-security",
    "vary",
    "x-content-type-options",
    "x-frame-options",
    "x-permitted-cross-domain-policies",
    "x-request-id",
];

/// RFC 6797 §7.2: over clear text anybody could have written it.
#[actix_web::test]
async fn transport_security_is_demanded_over_tls_only() {
    let app = TestApp::with(&[("PORTCULLIS_HTTP_LISTEN", "127.0.0.1:0"), ("PORTCULLIS_OPERATOR_LISTEN", "127.0.0.1:0")]).await;
    let (http, operators) = (app.service.http.unwrap(), app.service.operators.unwrap());
    for url in [format!("http://{http}/docs"), format!("http://{http}/v1/me"), format!("http://{operators}/livez"), format!("http://{operators}/x")] {
        let answer = Answer::of(app.client().get(&url)).await;
        assert!(answer.headers.get("strict-transport-security").is_none(), "{url}");
    }
    let metrics = Answer::of(app.client().get(format!("http://{operators}/metrics"))).await;
    assert_eq!((metrics.header("x-content-type-options"), metrics.header("cache-control")), ("nosniff", "no-store"));

    let app = TestApp::with(&[("PORTCULLIS_TLS", "proxy"), ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1/32")]).await;
    let get = |scheme: &'static str| Answer::of(app.client().get(format!("http://{}/livez", app.address())).header("x-forwarded-proto", scheme));
    let (secure, clear) = (get("https").await, get("http").await);
    assert_eq!((secure.status.as_u16(), secure.header("strict-transport-security")), (200, "max-age=300"));
    assert_eq!((clear.code().as_str(), clear.header("strict-transport-security")), ("HTTPS_REQUIRED", ""));
}

/// What signing out leaves behind in a browser that others use.
#[actix_web::test]
async fn signing_out_clears_what_pages_have_kept() {
    let app = TestApp::start().await;
    app.create_account("ada@example.org").await;
    for (path, body) in [("/v1/auth/logout", json!({})), ("/v1/auth/logout-all", json!({})), ("/v1/me/close", json!({ "email": "ada@example.org" }))]
    {
        let answer = app.sign_in("ada@example.org").await.post(path, body).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text);
        assert_eq!(answer.header("clear-site-data"), r#""cache", "storage""#, "{path}");
        let mut cookies = answer.headers.get_all("set-cookie").iter().map(|set| set.to_str().unwrap());
        assert!(cookies.any(|set| set.starts_with("__Host-portcullis=") && set.contains("Max-Age=0")), "{path}: the session's, by name");
        assert!(answer.cookie_named("__Host-portcullis-device").is_none(), "{path}: the device stays known");
    }
    let (bob, _) = app.token_member("bob@example.org").await;
    assert!(!bob.post("/v1/auth/logout", json!({})).await.header("clear-site-data").is_empty());
    assert!(app.visitor().get("/livez").await.headers.get("clear-site-data").is_none());
}

/// What each directive may say; one that is not here may not be there.
const DIRECTIVES: [(&str, &[&str]); 8] = [
    ("default-src", &["'none'"]),
    ("script-src", &["'self'"]),
    ("style-src", &["'self'"]),
    ("img-src", &["'self'", "data:"]),
    ("connect-src", &["'self'"]),
    ("base-uri", &["'none'"]),
    ("form-action", &["'none'"]),
    ("frame-ancestors", &["'none'"]),
];

const PAGES: [&str; 9] =
    ["/docs/index.html", "/go/disown", "/go/email", "/go/export", "/go/keep", "/go/register", "/go/reset", "/go/trust", "/go/undo"];

#[actix_web::test]
async fn every_directive_of_every_page_is_strict() {
    let app = TestApp::start().await;
    let loaded = regex::Regex::new(r#"(?:src|href)="([^"]+)""#).unwrap();
    for path in PAGES {
        let page = app.visitor().get(path).await;
        assert!(page.status == 200 && page.header("content-type").starts_with("text/html"), "{path}: {page:?}");
        let csp = page.header("content-security-policy").to_owned();
        let directives: Vec<Vec<&str>> = csp.split(';').map(|directive| directive.split_whitespace().collect()).collect();
        for directive in &directives {
            let (_, allowed) = DIRECTIVES.iter().find(|(name, _)| *name == directive[0]).unwrap_or_else(|| panic!("{path}: {directive:?}"));
            assert!(directive.len() > 1 && directive[1..].iter().all(|source| allowed.contains(source)), "{path}: {directive:?}");
        }
        for needed in ["default-src", "base-uri", "form-action", "frame-ancestors"] {
            assert_eq!(directives.iter().filter(|directive| directive[0] == needed).count(), 1, "{path}: {needed}");
        }
        // what it loads is there, and of the type that nosniff lets through
        let folder = path.rsplit_once('/').unwrap().0;
        for file in loaded.captures_iter(&page.text).map(|found| found[1].to_owned()) {
            let url = if file.starts_with('/') { file } else { format!("{folder}/{}", file.trim_start_matches("./")) };
            let answer = app.visitor().get(&url).await;
            assert_eq!(answer.status, 200, "{path} loads {url}");
            let kinds = [(".js", "javascript"), (".css", "text/css"), (".png", "image/png")];
            let (_, kind) = kinds.iter().find(|(end, _)| url.ends_with(end)).unwrap_or_else(|| panic!("{path} loads {url}"));
            assert!(answer.header("content-type").contains(kind), "{url}: {}", answer.header("content-type"));
        }
    }
}

#[actix_web::test]
async fn pages_hold_no_inline_code() {
    let app = TestApp::start().await;
    for path in PAGES {
        let page = app.visitor().get(path).await;
        assert_eq!(page.status, 200, "{path}");
        let text = page.text.to_lowercase();
        let inline = text.split("<script").skip(1).any(|script| !script.split('>').next().unwrap().contains("src="));
        assert!(
            !inline && !text.contains(" onclick=") && !text.contains("javascript:") && !text.contains("<style") && !text.contains(" style="),
            "{path}"
        );
        assert!(!text.contains("//unpkg") && !text.contains("https://"), "{path} loads from elsewhere");
    }
}
