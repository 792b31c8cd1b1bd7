//! More requests at once than can be worked on. What is above the limit is told to come back, and health answers all along.

use crate::support::app::{Answer, TestApp};
use futures_util::StreamExt;
use reqwest::{Body, Method};

#[actix_web::test]
async fn what_is_too_much_is_shed_and_health_answers() {
    let app = TestApp::with(&[("PORTCULLIS_REQUESTS_IN_HAND", "10"), ("PORTCULLIS_REQUEST_TIMEOUT_SECONDS", "2")]).await;
    let slow = || {
        let body = futures_util::stream::iter([Ok::<_, std::io::Error>("{\"email\":")]).chain(futures_util::stream::pending());
        let request = app.visitor().request(Method::POST, "/v1/auth/register").header("content-type", "application/json");
        actix_web::rt::spawn(Answer::of(request.body(Body::wrap_stream(body))))
    };
    let held: Vec<_> = (0..10).map(|_| slow()).collect();
    app.wait_for("every place to be taken", async || (app.state.in_hand.available_permits() == 0).then_some(())).await;
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
