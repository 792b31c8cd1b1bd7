//! Headers and targets beyond any use, to fill memory or to trip what reads them.

use crate::support::{
    app::{Answer, TestApp, over_http1},
    wire,
};
use reqwest::Method;
use tokio::io::AsyncWriteExt;

/// Small ones, within the bytes: each is work for whatever looks through them.
#[actix_web::test]
async fn many_fields_are_refused_alike_in_both_protocols() {
    let app = TestApp::start().await;
    for client in app.clients() {
        // beside the ones that the client sends by itself
        for (fields, expected) in [(48, 200), (65, 431), (90, 431)] {
            let request = client.get(app.url("/livez"));
            let answer = Answer::of((0..fields).fold(request, |request, n| request.header(format!("x-{n}"), "1"))).await;
            assert_eq!(answer.status, expected, "{fields}: {}", answer.text);
            assert!(expected == 200 || answer.code() == "HEADERS_TOO_LARGE", "{fields}: {}", answer.text);
        }
        // and where all have one name
        let request = client.get(app.url("/livez"));
        assert_eq!(Answer::of((0..65).fold(request, |request, _| request.header("x-same", "1"))).await.code(), "HEADERS_TOO_LARGE");
    }
}

#[actix_web::test]
async fn a_large_head_is_refused() {
    let app = TestApp::start().await;
    let fits = app.visitor().request(Method::GET, "/livez").header("x-fill", "x".repeat(12 << 10));
    assert_eq!(Answer::of(fits).await.status, 200);
    for (target, header) in [("/livez".to_owned(), 17 << 10), (format!("/livez?{}", "x".repeat(17 << 10)), 1)] {
        let request = app.visitor().request(Method::GET, &target).header("x-fill", "x".repeat(header));
        let answer = Answer::of(request).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (431, "HEADERS_TOO_LARGE"));
    }
    let huge = app.visitor().request(Method::GET, "/livez").header("x-fill", "x".repeat(40 << 10));
    let answer = Answer::of(huge).await;
    // over HTTP/2 the protocol itself says so: nothing of that size is put together
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (431, if over_http1() { "HEADERS_TOO_LARGE" } else { "" }));
    let mut stream = wire::tls(&app, "http/1.1").await;
    stream.write_all(format!("GET /livez HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "x".repeat(17 << 10)).as_bytes()).await.unwrap();
    let answer = wire::answer(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 431") && answer.contains("HEADERS_TOO_LARGE"), "{answer}");
}
