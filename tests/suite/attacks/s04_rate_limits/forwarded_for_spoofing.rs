//! The attacker claims a new address with every request, to get a fresh quota each time.

use crate::support::app::{Answer, TestApp};
use reqwest::Method;

async fn refused(app: &TestApp, claim: impl Fn(usize) -> String) -> usize {
    refused_with(app, |n| claim(n).into_bytes()).await
}

async fn refused_with(app: &TestApp, claim: impl Fn(usize) -> Vec<u8>) -> usize {
    let visitor = app.visitor();
    let calls = (0..40).map(|n| {
        let request =
            visitor.request(Method::GET, "/livez").header("forwarded", [b"for=".as_slice(), &claim(n)].concat()).header("x-real-ip", claim(n));
        Answer::of(request.header("x-forwarded-for", claim(n)))
    });
    futures_util::future::join_all(calls).await.iter().filter(|answer| answer.status == 429).count()
}

const TIGHT: [(&str, &str); 2] = [("PORTCULLIS_ADDRESS_QUOTA_BURST", "5"), ("PORTCULLIS_ADDRESS_QUOTA_PER_SECOND", "1")];

#[actix_web::test]
async fn claims_of_a_stranger_buy_no_quota() {
    let app = TestApp::with(&TIGHT).await;
    assert!(refused(&app, |n| format!("203.0.113.{n}")).await >= 25);
}

#[actix_web::test]
async fn behind_a_trusted_proxy_only_the_address_that_it_saw_counts() {
    let app = TestApp::with(&[TIGHT[0], TIGHT[1], ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    assert!(refused(&app, |n| format!("203.0.113.{n}, 198.51.100.7")).await >= 25, "what the client wrote in front buys nothing");
    assert_eq!(refused(&app, |n| format!("198.51.100.{}", n + 100)).await, 0, "different clients of the proxy have quotas of their own");
}

/// Some proxies write the client's port behind its address: a new connection each time must buy nothing, and the neighbours keep theirs.
#[actix_web::test]
async fn a_port_behind_the_address_buys_no_quota_and_takes_none_from_others() {
    let app = TestApp::with(&[TIGHT[0], TIGHT[1], ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    assert!(refused(&app, |n| format!("203.0.113.7:{}", 40_000 + n)).await >= 25);
    assert!(refused(&app, |n| format!("[2001:db8::1]:{}", 40_000 + n)).await >= 25);
    assert_eq!(refused(&app, |n| format!("198.51.100.{}:4711", n + 100)).await, 0, "different clients have quotas of their own");
    assert_eq!(refused(&app, |n| format!("[2001:db8:1:{n}::1]")).await, 0);
}

/// Bytes that are no text, in front of what the proxy appends, make the caller neither the proxy nor somebody else.
#[actix_web::test]
async fn bytes_that_are_no_text_hide_nobody() {
    let app = TestApp::with(&[TIGHT[0], TIGHT[1], ("PORTCULLIS_TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    let behind_bytes = |address: String| [b"\xff, ".as_slice(), address.as_bytes()].concat();
    assert!(refused_with(&app, |_| behind_bytes("203.0.113.7".into())).await >= 25);
    assert_eq!(refused_with(&app, |n| behind_bytes(format!("198.51.100.{}", n + 100))).await, 0);
}
