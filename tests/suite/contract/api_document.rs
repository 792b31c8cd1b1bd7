//! Walks the API document and calls everything in it.

use crate::support::{
    app::{Answer, TestApp},
    operations::{Operation, document, operations, resolve},
};
use portcullis::{access::permission::Permission, audit::Event, error::ErrorCode};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Open to everybody, on purpose. A new route is either on this list or asks who calls.
const PUBLIC: [&str; 30] = [
    "GET /.well-known/jwks.json",
    "GET /docs",
    "GET /docs/errors",
    "GET /docs/{file}",
    "GET /go/assets/{name}",
    "GET /go/oauth/{provider}",
    "GET /go/{page}",
    "GET /livez",
    "GET /openapi.json",
    "GET /readyz",
    "GET /v1/auth/oauth/providers",
    "POST /v1/auth/account/keep",
    "POST /v1/auth/devices/trust",
    "POST /v1/auth/email/confirm",
    "POST /v1/auth/email/undo",
    "POST /v1/auth/login",
    "POST /v1/auth/mfa/options",
    "POST /v1/auth/mfa/reset",
    "POST /v1/auth/mfa/verify",
    "POST /v1/auth/oauth/{provider}/authorize",
    "POST /v1/auth/oauth/{provider}/callback",
    "POST /v1/auth/passkeys/login",
    "POST /v1/auth/passkeys/options",
    "POST /v1/auth/password/forgot",
    "POST /v1/auth/password/reset",
    "POST /v1/auth/register",
    "POST /v1/auth/register/complete",
    "POST /v1/auth/sessions/disown",
    "POST /v1/auth/token/refresh",
    "POST /v1/webhooks/inbound/{source}",
];

fn is_enveloped(answer: &Answer) -> bool {
    let body: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    let code = body["error"]["code"].as_str().unwrap_or_default().to_owned();
    let known = ErrorCode::ALL.iter().find(|known| known.name() == code);
    let fields: BTreeSet<&str> = body.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    known.is_some_and(|known| known.status() == answer.status.as_u16() && known.message() == body["error"]["message"])
        && fields == BTreeSet::from(["error"])
}

#[actix_web::test]
async fn every_route_is_guarded() {
    let app = TestApp::start().await;
    let operations = operations();
    let public: BTreeSet<String> = operations.iter().filter(|operation| operation.is_public()).map(Operation::name).collect();
    assert_eq!(public.iter().map(String::as_str).collect::<Vec<_>>(), PUBLIC);
    assert!(operations.len() > public.len());
    for operation in operations.iter().filter(|operation| !operation.is_public()) {
        let answer = Answer::of(app.visitor().request(operation.method.clone(), &operation.url())).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "UNAUTHENTICATED"), "{}", operation.name());
        assert!(!answer.header("www-authenticate").is_empty());
    }
    for operation in operations.iter().filter(|operation| operation.is_public() && operation.method == Method::GET) {
        let answer = app.visitor().get(&operation.url()).await;
        assert!(answer.status == 200 || answer.status == 308, "{}: {}", operation.name(), answer.text);
    }
}

/// Whoever can read a call by cookie, by token or by key can read it; nobody else is promised to.
#[actix_web::test]
async fn every_documented_scheme_opens_its_calls_and_no_other() {
    let app = TestApp::start().await;
    let by_cookie = app.administrator().await;
    let (by_token, _) = app.token_sign_in("root@example.org").await;
    let every: Vec<&str> = Permission::ALL.iter().map(|permission| permission.name()).collect();
    let by_key = by_cookie.api_key(&every).await.actor;
    for operation in operations().iter().filter(|operation| !operation.is_public() && operation.method == Method::GET) {
        for (scheme, actor, refused) in [("session", &by_cookie, 401), ("bearer", &by_token, 401), ("api_key", &by_key, 403)] {
            let is_promised = operation.value["security"].as_array().unwrap().iter().any(|schemes| schemes.get(scheme).is_some());
            let answer = actor.get(&operation.url()).await;
            assert_eq!(answer.status != refused, is_promised, "{} by {scheme}: {}", operation.name(), answer.text);
        }
    }
}

#[actix_web::test]
async fn every_error_is_enveloped_and_documented() {
    let app = TestApp::with(&[("PORTCULLIS_BODY_LIMIT", "1024")]).await;
    let ada = app.member("ada@example.org").await;
    let document = document();
    for operation in operations() {
        let request = || ada.request(operation.method.clone(), &operation.url());
        let mut answers =
            vec![Answer::of(app.visitor().request(operation.method.clone(), &operation.url()).header("cookie", "__Host-portcullis=x")).await];
        if !operation.method.is_safe() {
            answers.push(Answer::of(request().header("origin", "https://evil.example")).await);
        }
        if operation.has_body() {
            for (content_type, body) in [
                ("application/json", "{".to_owned()),
                ("application/json", "{}".to_owned()),
                ("application/json", "[1]".to_owned()),
                ("application/json", " ".repeat(2000)),
                ("text/plain", "{}".to_owned()),
            ] {
                answers.push(Answer::of(request().header("content-type", content_type).body(body)).await);
            }
        }
        for answer in answers {
            let status = answer.status.as_u16();
            let response = operation.response(document, status);
            let response = response.unwrap_or_else(|| panic!("{}: {status} is not documented", operation.name()));
            for header in ["X-Request-Id", "WWW-Authenticate", "Retry-After"] {
                let is_there = !answer.header(header).is_empty();
                assert_eq!(response["headers"].get(header).is_some(), is_there, "{}: {status} {header}", operation.name());
            }
            assert!(status < 400 || is_enveloped(&answer), "{}: {status} {}", operation.name(), answer.text);
        }
        let known: Vec<Method> = operations().into_iter().filter(|other| other.path == operation.path).map(|other| other.method).collect();
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE].into_iter().filter(|method| !known.contains(method)) {
            let answer = Answer::of(ada.request(method.clone(), &operation.url())).await;
            assert!(answer.status == 405 && is_enveloped(&answer), "{method} {}: {}", operation.path, answer.text);
            let allow: BTreeSet<&str> = answer.header("allow").split(", ").collect();
            assert!(known.iter().all(|known| allow.contains(known.as_str())), "{method} {}: {allow:?}", operation.path);
        }
    }
}

#[test]
fn the_document_is_whole() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let text = document.to_string();
    // written where an enum and what is said of its field are mixed: a string that is an object
    assert!(!text.contains("\"allOf\""), "nothing satisfies a mixed schema");
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer} is referred to and missing");
    }
    let mut ids = BTreeSet::new();
    for operation in operations() {
        let (name, value) = (operation.name(), &operation.value);
        assert!(ids.insert(value["operationId"].to_string()), "{name}: operation id twice");
        assert!(value["summary"].as_str().is_some_and(|summary| !summary.is_empty()) && value["tags"][0].is_string(), "{name}");
        let responses = value["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2') || status.starts_with('3')), "{name} has no success");
        for (status, response) in responses {
            let response = resolve(document, response);
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{name} {status}");
            let content = response.get("content").and_then(Value::as_object);
            assert!(
                content.is_some() || ["204", "304", "308"].contains(&status.as_str()) || name.ends_with("/verify"),
                "{name} {status} has no body"
            );
        }
        for scheme in value["security"].as_array().unwrap().iter().flat_map(|item| item.as_object().unwrap().keys()) {
            assert!(document["components"]["securitySchemes"].get(scheme).is_some(), "{name}: {scheme}");
        }
    }
    // told by the layers around the table, to calls that are in no operation, or on the operators' listener
    let outside = ["METHOD_NOT_ALLOWED", "ORIGIN_NOT_ALLOWED", "WRONG_HOST"];
    for code in ErrorCode::ALL.iter().map(|code| code.name()) {
        assert!(outside.contains(&code) || text.contains(&format!("`{code}`")), "{code} is in no operation");
    }
}

#[test]
fn closed_lists_are_closed_and_no_input_takes_unknown_fields() {
    let document = document();
    let names = |schema: &str| -> Vec<String> { serde_json::from_value(document["components"]["schemas"][schema]["enum"].clone()).unwrap() };
    assert_eq!(names("ErrorCode"), ErrorCode::ALL.iter().map(|code| code.name()).collect::<Vec<_>>());
    assert_eq!(names("Event"), Event::ALL.iter().map(|event| event.name()).collect::<Vec<_>>());
    assert_eq!(names("Permission"), Permission::ALL.iter().map(|permission| permission.name()).collect::<Vec<_>>());
    for operation in operations().into_iter().filter(Operation::has_body) {
        let schema = resolve(document, &operation.value["requestBody"]["content"]["application/json"]["schema"]);
        assert_eq!(schema["additionalProperties"], json!(false), "{}", operation.name());
    }
}

#[actix_web::test]
async fn every_file_that_the_document_names_is_served_as_it_says() {
    let app = TestApp::start().await;
    let document = document();
    for (path, parameter) in [("/go/{page}", "{page}"), ("/go/assets/{name}", "{name}"), ("/docs/{file}", "{file}")] {
        let operation = &document["paths"][path]["get"];
        let names = resolve(document, &operation["parameters"][0]["schema"])["enum"].clone();
        let media_types: BTreeSet<&str> = operation["responses"]["200"]["content"].as_object().unwrap().keys().map(String::as_str).collect();
        for name in names.as_array().unwrap() {
            let answer = app.visitor().get(&path.replace(parameter, name.as_str().unwrap())).await;
            let media_type = answer.header("content-type").split(';').next().unwrap().to_owned();
            assert_eq!((answer.status.as_u16(), media_types.contains(media_type.as_str())), (200, true), "{path} {name}: {media_type}");
        }
    }
}
