//! DNS rebinding: a page points its own name at the operators' listener, so that the browser of somebody near takes it for the page's own
//! server and lets it read the answers.

use crate::support::app::{Answer, TestApp};
use std::{
    io::{Read, Write},
    net::TcpStream,
};

#[actix_web::test]
async fn a_page_cannot_read_the_operators_listener_under_its_own_name() {
    let app =
        TestApp::with(&[("PORTCULLIS_OPERATOR_LISTEN", "127.0.0.1:0"), ("PORTCULLIS_OPERATOR_HOSTS", "Metrics.Example.org, dot.example.net.")]).await;
    let operators = app.service.operators.unwrap();
    let ask = |path: &str, host: &str| Answer::of(app.client().get(format!("http://{operators}{path}")).header("host", host));
    for path in ["/metrics", "/readyz", "/livez", "/x"] {
        for host in
            ["rebound.example", "rebound.example:9464", "127.0.0.1.rebound.example", "localhost.", "x.metrics.example.org", "metrics.example.org.."]
        {
            let answer = ask(path, host).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (421, "WRONG_HOST"), "{path} {host}: {}", answer.text);
        }
    }
    for host in [
        "127.0.0.1:9464",
        "[::1]:9464",
        "localhost",
        "portcullis:9464",
        "accounts.prod.svc",
        "accounts.prod.svc.cluster.local",
        "accounts.prod.svc.cluster.local.",
        "METRICS.example.org",
        "metrics.example.org.:9464",
        "dot.example.net",
        "dot.example.net.",
    ] {
        assert_eq!(ask("/metrics", host).await.status, 200, "{host}");
    }
    assert_eq!(ask("/metrics", "a@b").await.code(), "MALFORMED");
}

/// As old health checks ask.
#[actix_web::test]
async fn a_probe_that_names_no_host_is_answered() {
    let app = TestApp::with(&[("PORTCULLIS_OPERATOR_LISTEN", "127.0.0.1:0")]).await;
    let operators = app.service.operators.unwrap();
    let answer = actix_web::web::block(move || {
        let mut stream = TcpStream::connect(operators)?;
        stream.write_all(b"GET /livez HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    });
    let answer = answer.await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
}
