//! One client opens connections until nobody else gets one. It gets its share; more are closed before they cost a handshake.

use crate::support::{app::TestApp, wire};
use tokio::io::AsyncReadExt;

/// Whether the other side hung up at once.
async fn is_turned_away(app: &TestApp, from: &str) -> bool {
    wire::try_tls(wire::tcp(app, from).await, "http/1.1").await.is_err()
}

#[actix_web::test]
async fn a_client_has_so_many_connections_and_others_have_theirs() {
    let app = TestApp::with(&[("PORTCULLIS_ADDRESS_CONNECTIONS", "3")]).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(wire::tls(&app, "http/1.1").await);
    }
    assert!(is_turned_away(&app, "127.0.0.1").await);
    assert!(!is_turned_away(&app, "127.0.0.2").await, "another client");
    held.clear();
    app.wait_for("a free place", async || (!is_turned_away(&app, "127.0.0.1").await).then_some(())).await;
}

#[actix_web::test]
async fn there_are_so_many_connections_in_all() {
    let app = TestApp::with(&[("PORTCULLIS_CONNECTIONS", "10"), ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.0/30")]).await;
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(wire::tls(&app, "http/1.1").await);
    }
    assert!(is_turned_away(&app, "127.0.0.9").await, "not even for a client that has none");
    let mut refused = wire::tcp(&app, "127.0.0.1").await;
    assert_eq!(refused.read(&mut [0]).await.unwrap_or(0), 0, "nor for a proxy");
}
