//! HTTP/1.1 and HTTP/2 give the same answers on every route: no rule can be got around by the protocol.

use crate::support::{
    app::{Answer, TestApp},
    operations::operations,
};
use reqwest::{Client, Method, RequestBuilder, Version};
use std::collections::BTreeMap;

/// What a client sees of an answer, without what differs from one request to the next.
async fn seen(request: RequestBuilder, version: Version) -> (u16, BTreeMap<String, String>, String) {
    let response = request.send().await.unwrap();
    assert_eq!(response.version(), version);
    let answer = Answer { status: response.status(), headers: response.headers().clone(), text: response.text().await.unwrap() };
    let id = answer.header("x-request-id").to_owned();
    assert!(!id.is_empty());
    let headers = answer.headers.iter().filter(|(name, _)| !["date", "connection", "ratelimit"].contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().replace(&id, "ID"))).collect();
    (answer.status.as_u16(), headers, answer.text.replace(&id, "ID"))
}

#[actix_web::test]
async fn both_protocols_answer_alike_on_every_route() {
    let app = TestApp::with(&[("PORTCULLIS_BODY_LIMIT", "1024"), ("PORTCULLIS_CORS_ORIGINS", "https://app.example")]).await;
    let root = app.administrator().await;
    let [http1, http2] = app.clients();
    let mut compared = 0;
    let mut compare = async |what: &str, request: &dyn Fn(&Client) -> RequestBuilder| {
        let (over_1, over_2) = (seen(request(&http1), Version::HTTP_11).await, seen(request(&http2), Version::HTTP_2).await);
        assert_eq!(over_1, over_2, "{what}");
        compared += 1;
    };
    let cookie = root.cookie.as_deref().unwrap();
    for operation in operations().iter().filter(|operation| !operation.path.ends_with("/events")) {
        let (name, url) = (operation.name(), app.url(&operation.url()));
        compare(&name, &|client| client.request(operation.method.clone(), &url)).await;
        compare(&name, &|client| client.request(Method::OPTIONS, &url).header("origin", "https://app.example")).await;
        compare(&name, &|client| client.request(Method::PUT, &url).header("origin", "https://evil.example")).await;
        if operation.method == Method::GET {
            compare(&name, &|client| client.get(&url).header("cookie", cookie)).await;
            compare(&name, &|client| client.head(&url).header("cookie", cookie)).await;
        }
        if operation.has_body() {
            for (content_type, body) in
                [("application/json", "{".to_owned()), ("application/json", " ".repeat(2000)), ("text/plain", "{}".to_owned())]
            {
                let request = |client: &Client| client.request(operation.method.clone(), &url).header("cookie", cookie);
                let request =
                    |client: &Client| request(client).header("x-csrf-token", root.csrf.as_deref().unwrap()).header("content-type", content_type);
                compare(&name, &|client| request(client).body(body.clone())).await;
            }
        }
    }
    for target in ["/", "/nowhere", "/v1", "/v1/me/", "//v1/me", "/v1/%6de", "/docs/index.html?x=%zz", "/.well-known/jwks.json"] {
        compare(target, &|client| client.get(app.url(target))).await;
    }
    assert!(compared > 200, "{compared}");
}
