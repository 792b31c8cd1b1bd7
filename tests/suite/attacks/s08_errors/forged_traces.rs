//! A caller writes into the log through the header that names its trace: lines of its own, a secret to be found there later, another
//! request's id. Only ids of the standard's form are taken, and none of them names the request.

use crate::support::{
    app::{Answer, TestApp},
    log,
};
use reqwest::Method;

#[actix_web::test]
async fn what_is_no_trace_id_is_not_logged() {
    let app = TestApp::start().await;
    let call = |values: &[&str]| {
        let request = values.iter().fold(app.visitor().request(Method::GET, "/livez"), |request, value| request.header("traceparent", *value));
        request.header("tracestate", "vendor=canary-of-the-trace")
    };
    let (good, other) = ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-00f067aa0ba902b7-01");
    for values in [
        &["00-canary-of-the-trace-canary-00f067aa0ba902b7-01"][..],
        &["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-canary-of-the-trace"],
        &["00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"],
        &["ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
        &["00-00000000000000000000000000000000-00f067aa0ba902b7-01"],
        &[good, other],
    ] {
        let id = Answer::of(call(values)).await.header("x-request-id").to_owned();
        let text = log::text();
        let lines: Vec<&str> = text.lines().filter(|line| line.contains(&id)).collect();
        assert!(!lines.is_empty() && lines.iter().all(|line| !line.contains("trace_id")), "{values:?}: {lines:?}");
    }
    let taken = Answer::of(call(&[good])).await;
    assert!(!good.contains(taken.header("x-request-id")), "the trace does not name the request");
    assert!(!log::text().contains("canary-of-the-trace"));
}
