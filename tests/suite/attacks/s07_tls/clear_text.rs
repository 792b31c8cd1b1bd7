//! A client speaks HTTP: it is sent to HTTPS at the configured place, or refused where the settings say so, and never served.

use crate::support::{
    app::{Answer, PUBLIC_URL, TestApp},
    log,
};

#[actix_web::test]
async fn clear_text_is_redirected_to_the_public_url_only_and_never_served() {
    let app = TestApp::with(&[("PORTCULLIS_HTTP_LISTEN", "127.0.0.1:0"), ("PORTCULLIS_OPERATOR_LISTEN", "127.0.0.1:0")]).await;
    let http = app.service.http.unwrap();
    let get = |path: &str| Answer::of(app.client().get(format!("http://{http}{path}")).header("host", "evil.example"));
    for path in ["/", "/docs?x=1", "//evil.example/", "/go/register", "/v1/me", "/.well-known/acme-challenge/x"] {
        let answer = get(path).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (308, format!("{PUBLIC_URL}{path}").as_str()));
    }
    let operators = app.service.operators.unwrap();
    let metrics = Answer::of(app.client().get(format!("http://{operators}/metrics"))).await;
    assert_eq!(metrics.status, 200);
    for probe in ["/livez", "/readyz"] {
        assert_eq!(Answer::of(app.client().get(format!("http://{operators}{probe}"))).await.status, 200, "{probe}");
    }
    assert_eq!(Answer::of(app.client().get(format!("http://{operators}/v1/me"))).await.status, 404, "nothing of the product is there");
    assert_eq!(app.visitor().get("/metrics").await.status, 404, "and no metrics on the public side");
}

/// A client that sends its token in clear text should learn so at once, and not after years behind redirects.
#[actix_web::test]
async fn calls_in_clear_text_are_refused_where_the_settings_say_so() {
    let app = TestApp::with(&[("PORTCULLIS_HTTP_LISTEN", "127.0.0.1:0"), ("PORTCULLIS_HTTP_CALLS", "refuse")]).await;
    let http = app.service.http.unwrap();
    let login = app.client().post(format!("http://{http}/v1/auth/login")).json(&serde_json::json!({ "email": "a@b.example", "password": "x" }));
    let call = Answer::of(login).await;
    assert_eq!((call.status.as_u16(), call.code().as_str(), call.header("location")), (403, "HTTPS_REQUIRED", ""));
    let page = Answer::of(app.client().get(format!("http://{http}/docs"))).await;
    assert_eq!(page.status, 308);
    // whoever answers for what was seen on the way must be able to find it
    assert_eq!(call.json()["error"]["request_id"].as_str(), Some(call.header("x-request-id")), "{}", call.text);
    for (answer, code) in [(&call, "\"HTTPS_REQUIRED\""), (&page, "308")] {
        let id = answer.header("x-request-id");
        let records = log::text().lines().filter(|line| line.contains(id) && line.contains("\"message\":\"request\"") && line.contains(code)).count();
        assert_eq!((id.len(), records), (36, 1));
    }
}
