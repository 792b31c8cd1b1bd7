//! A client that breaks HTTP/2 in every way that RFC 9113 names: each is refused, and others are served.

use crate::service::{ROOMY, Service, python, run};

#[test]
fn malformed_http_2_is_refused_and_harms_nobody() {
    let service = Service::with(&ROOMY);
    let mut attacker = python("python");
    let said = run(attacker.arg("tests/interop/http2_attacker.py").args(["127.0.0.1", &service.port]).arg(service.authority()));
    assert!(said.lines().filter(|line| line.starts_with("ok ")).count() > 80, "{said}");
}
