//! A client offers what is broken or foreign: TLS 1.1 and older (rustls has none to agree on), HTTP without TLS on the TLS port.

use crate::support::app::TestApp;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A ClientHello of TLS 1.1: one cipher suite (TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA) and the extension signature_algorithms.
fn client_hello() -> Vec<u8> {
    let mut hello = vec![0x16, 0x03, 0x01, 0x00, 0x37, 0x01, 0x00, 0x00, 0x33, 0x03, 0x02];
    hello.extend([0x42; 32]);
    hello.extend([0x00, 0x00, 0x02, 0xc0, 0x13, 0x01, 0x00]);
    hello.extend([0x00, 0x08, 0x00, 0x0d, 0x00, 0x04, 0x00, 0x02, 0x04, 0x03]);
    hello
}

async fn answer_to(app: &TestApp, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // a reset is an answer too
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

#[actix_web::test]
async fn old_tls_and_clear_text_end_in_an_alert() {
    let app = TestApp::start().await;
    let alert = answer_to(&app, &client_hello()).await;
    assert!(alert.is_empty() || alert[0] == 0x15 && alert[6] == 70, "protocol_version expected (RFC 8446 §6): {alert:02x?}");
    let text = answer_to(&app, b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(!text.starts_with(b"HTTP"), "{text:02x?}");
    assert_eq!(app.visitor().get("/livez").await.status, 200);
}
