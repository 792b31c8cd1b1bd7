//! More requests at once than can be worked on, or from one client than it may have. What is above the limit is told to come back,
//! health answers all along, and no client can take the places of the others.

use crate::support::app::{Answer, TestApp};
use actix_web::rt::task::JoinHandle;
use futures_util::StreamExt;
use reqwest::{Body, Method};

/// A request whose body never ends.
fn unfinished(app: &TestApp, from: &str) -> JoinHandle<Answer> {
    let body = futures_util::stream::iter([Ok::<_, std::io::Error>("{\"email\":")]).chain(futures_util::stream::pending());
    let request = app.visitor().request(Method::POST, "/v1/auth/register").header("content-type", "application/json");
    actix_web::rt::spawn(Answer::of(request.header("x-forwarded-for", from).body(Body::wrap_stream(body))))
}

#[actix_web::test]
async fn what_is_too_much_is_shed_and_health_answers() {
    let app = TestApp::with(&[("PORTCULLIS_REQUESTS_IN_HAND", "10"), ("PORTCULLIS_REQUEST_TIMEOUT_SECONDS", "2")]).await;
    let held: Vec<_> = (0..10).map(|_| unfinished(&app, "127.0.0.1")).collect();
    app.wait_for("every place to be taken", async || (app.state.in_hand.taken() == 10).then_some(())).await;
    let refused = app.visitor().get("/v1/me").await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (503, "UNAVAILABLE"));
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    for probe in ["/livez", "/readyz"] {
        assert_eq!(app.visitor().get(probe).await.status, 200, "{probe}");
    }
    for held in held {
        assert_eq!(held.await.unwrap().status, 408);
    }
    assert_eq!(app.visitor().get("/v1/me").await.status, 401, "and afterwards there are places again");
}

#[actix_web::test]
async fn a_client_holds_so_many_places_and_others_have_theirs() {
    let app = TestApp::with(&[
        ("PORTCULLIS_ADDRESS_REQUESTS_IN_HAND", "3"),
        ("PORTCULLIS_REQUEST_TIMEOUT_SECONDS", "2"),
        ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.1/32"),
    ])
    .await;
    let held: Vec<_> = (0..3).map(|n| unfinished(&app, &format!("2001:db8::{n}"))).collect();
    app.wait_for("its places to be taken", async || (app.state.in_hand.taken() == 3).then_some(())).await;
    let from = |address: &str| Answer::of(app.visitor().request(Method::GET, "/v1/me").header("x-forwarded-for", address));
    let refused = from("2001:db8::4").await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (429, "RATE_LIMITED"), "one /64 is one client");
    assert_eq!((refused.header("retry-after"), refused.header("ratelimit")), ("1", r#""in_hand";r=0;t=1"#));
    assert_eq!(refused.header("ratelimit-policy"), r#""in_hand";q=3;qu="concurrent-requests""#);
    assert_eq!(from("2001:db8:0:1::4").await.status, 401, "somebody else");
    for held in held {
        assert_eq!(held.await.unwrap().status, 408);
    }
    assert_eq!(from("2001:db8::4").await.status, 401, "and afterwards there are places again");
}
