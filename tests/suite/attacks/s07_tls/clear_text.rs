//! A client speaks HTTP: people are sent to HTTPS at the configured place, calls of the API are refused.

use crate::support::app::{Answer, PUBLIC_URL, TestApp};

#[actix_web::test]
async fn clear_text_is_redirected_to_the_public_url_only_and_the_api_refuses_it() {
    let app = TestApp::with(&[("PORTCULLIS_HTTP_LISTEN", "127.0.0.1:0"), ("PORTCULLIS_OPERATOR_LISTEN", "127.0.0.1:0")]).await;
    let http = app.service.http.unwrap();
    let get = |path: &str| Answer::of(app.client().get(format!("http://{http}{path}")).header("host", "evil.example"));
    for path in ["/", "/docs?x=1", "//evil.example/", "/go/register"] {
        let answer = get(path).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (308, format!("{PUBLIC_URL}{path}").as_str()));
    }
    let call =
        Answer::of(app.client().post(format!("http://{http}/v1/auth/login")).json(&serde_json::json!({ "email": "a@b.example", "password": "x" })))
            .await;
    assert_eq!((call.status.as_u16(), call.code().as_str(), call.header("location")), (403, "HTTPS_REQUIRED", ""));

    let operators = app.service.operators.unwrap();
    let metrics = Answer::of(app.client().get(format!("http://{operators}/metrics"))).await;
    assert_eq!(metrics.status, 200);
    for probe in ["/livez", "/readyz"] {
        assert_eq!(Answer::of(app.client().get(format!("http://{operators}{probe}"))).await.status, 200, "{probe}");
    }
    assert_eq!(Answer::of(app.client().get(format!("http://{operators}/v1/me"))).await.status, 404, "nothing of the product is there");
    assert_eq!(app.visitor().get("/metrics").await.status, 404, "and no metrics on the public side");
}
