//! A session that ends at one node is over at the other within 100 ms.

use crate::support::app::TestApp;
use serde_json::json;
use std::time::{Duration, Instant};

const BOUND: Duration = Duration::from_millis(100);
const ROUNDS: usize = 20;

#[actix_web::test]
async fn what_ends_at_one_node_is_over_at_the_other_within_a_tenth_of_a_second() {
    let _alone = crate::alone().await;
    let app = TestApp::start().await;
    let other = app.node(None).await;
    app.create_account("ada@example.org").await;
    let mut lags = Vec::new();
    for round in 0..ROUNDS {
        let (ada, _) = app.token_sign_in("ada@example.org").await;
        let there = ada.at(&other);
        assert_eq!(there.get("/v1/auth/verify").await.status, 200);
        assert_eq!(ada.post("/v1/auth/logout", json!({})).await.status, 204);
        let ended = Instant::now();
        // from the end of the change to the beginning of the first call that is refused: calls themselves take their time
        let lag = loop {
            let began = ended.elapsed();
            if there.get("/v1/auth/verify").await.code() == "INVALID_TOKEN" {
                break began;
            }
            assert!(began < BOUND, "round {round}: still in after {began:?}");
        };
        lags.push(lag);
    }
    lags.sort();
    println!("median {:?}, slowest {:?} of {ROUNDS}", lags[ROUNDS / 2], lags[ROUNDS - 1]);
    assert!(lags[ROUNDS / 2] < BOUND / 2, "the usual case is far below the bound: {lags:?}");
}
