//! A proxy ends TLS, and the attacker (or a careless client) reaches the service in clear text around it, or through it by HTTP.

use crate::support::app::TestApp;
use reqwest::StatusCode;

async fn status(app: &TestApp, protocols: &[&str]) -> (StatusCode, String) {
    let mut request = app.client().get(format!("http://{}/livez", app.address()));
    for protocol in protocols {
        request = request.header("x-forwarded-proto", *protocol);
    }
    let response = request.send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

#[actix_web::test]
async fn clear_text_is_taken_from_the_proxy_and_for_https_only() {
    let app = TestApp::with(&[("PORTCULLIS_TLS", "proxy"), ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1/32")]).await;
    assert_eq!(status(&app, &["https"]).await.0, 200);
    for protocols in [&["http"][..], &[], &["https", "http"], &["http", "https"], &["https, http"], &["HTTPS "], &[""]] {
        let (status, text) = status(&app, protocols).await;
        assert!(status == 403 && text.contains("HTTPS_REQUIRED"), "{protocols:?}: {status} {text}");
    }
    let around = TestApp::with(&[("PORTCULLIS_TLS", "proxy"), ("PORTCULLIS_TRUSTED_PROXIES", "10.0.0.0/8")]).await;
    let (status, text) = status(&around, &["https"]).await;
    assert!(status == 403 && text.contains("HTTPS_REQUIRED"), "the caller is not the proxy, whatever it says: {status} {text}");
}
