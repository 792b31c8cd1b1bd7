//! Clients that hold connections and do next to nothing with them: silence, a request that dribbles in (slowloris), a refused body
//! that never ends, an answer that is never taken. Each is given up; who asks properly in between is served.

use crate::support::{
    app::TestApp,
    wire::{self, PREFACE, is_given_up_while_sending},
};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

const GET: &[u8] = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";

async fn impatient() -> TestApp {
    TestApp::with(&[
        ("PORTCULLIS_REQUEST_TIMEOUT_SECONDS", "1"),
        ("PORTCULLIS_HANDSHAKE_TIMEOUT_SECONDS", "1"),
        ("PORTCULLIS_STALL_TIMEOUT_SECONDS", "1"),
        ("PORTCULLIS_IDLE_TIMEOUT_SECONDS", "4"),
    ])
    .await
}

#[actix_web::test]
async fn silence_ends_a_connection() {
    let app = impatient().await;
    assert!(is_given_up_while_sending(wire::tcp(&app, "127.0.0.1").await, b"").await, "no handshake");
    assert!(is_given_up_while_sending(wire::tls(&app, "http/1.1").await, b"").await, "no request");
    assert!(is_given_up_while_sending(wire::tls(&app, "h2").await, b"").await, "no preface");
    let mut asked = wire::tls(&app, "http/1.1").await;
    asked.write_all(GET).await.unwrap();
    assert!(wire::answer(&mut asked).await.starts_with("HTTP/1.1 200"));
    assert!(is_given_up_while_sending(asked, b"").await, "no second request");
}

#[actix_web::test]
async fn a_handshake_that_dribbles_in_is_given_up() {
    let app = TestApp::with(&[("PORTCULLIS_HANDSHAKE_TIMEOUT_SECONDS", "1"), ("PORTCULLIS_REQUEST_TIMEOUT_SECONDS", "60")]).await;
    let mut half_a_hello = wire::tcp(&app, "127.0.0.1").await;
    half_a_hello.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00]).await.unwrap();
    assert!(is_given_up_while_sending(half_a_hello, b"\x01").await);
}

#[actix_web::test]
async fn frames_without_a_request_keep_no_connection() {
    let app = impatient().await;
    let mut stream = wire::tls(&app, "h2").await;
    stream.write_all(PREFACE).await.unwrap();
    // PING frames
    assert!(is_given_up_while_sending(stream, b"\0\0\x08\x06\0\0\0\0\0portcull").await);
    // who only waits is told before the end, so that no request is sent into the void
    let mut quiet = wire::tls(&app, "h2").await;
    quiet.write_all(PREFACE).await.unwrap();
    let mut all = Vec::new();
    // with or without TLS's own farewell
    let _ = timeout(Duration::from_secs(10), quiet.read_to_end(&mut all)).await.expect("an end");
    let (mut rest, mut kinds) = (all.as_slice(), Vec::new());
    while let [_, high, low, kind, ..] = *rest {
        kinds.push(kind);
        rest = &rest[9 + usize::from(u16::from_be_bytes([high, low]))..];
    }
    assert!(kinds.contains(&7), "GOAWAY: {kinds:?}");
}

#[actix_web::test]
async fn a_head_that_dribbles_in_is_given_up_whichever_request_it_is() {
    let app = impatient().await;
    let mut first = wire::tls(&app, "http/1.1").await;
    first.write_all(b"GET /livez HTTP/1.1\r\nx: ").await.unwrap();
    assert!(is_given_up_while_sending(first, b"x").await);
    let mut second = wire::tls(&app, "http/1.1").await;
    second.write_all(GET).await.unwrap();
    assert!(wire::answer(&mut second).await.starts_with("HTTP/1.1 200"));
    second.write_all(b"GET /livez HTTP/1.1\r\nx: ").await.unwrap();
    let begun = Instant::now();
    assert!(is_given_up_while_sending(second, b"x").await);
    assert!(begun.elapsed() < Duration::from_secs(4), "by its head's time, not by the idle time: {:?}", begun.elapsed());
}

#[actix_web::test]
async fn a_refused_body_is_not_taken_for_ever() {
    let app = impatient().await;
    let mut stream = wire::tls(&app, "http/1.1").await;
    stream.write_all(b"POST /nowhere HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n").await.unwrap();
    assert!(is_given_up_while_sending(stream, b"1\r\nx\r\n").await);
}

/// Answers pile up until the system takes no more of them.
#[actix_web::test]
async fn a_client_that_takes_no_answer_is_given_up() {
    let app = impatient().await;
    let mut stream = wire::tls(&app, "http/1.1").await;
    let asset = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let given_up = async { while stream.write_all(asset).await.is_ok() && stream.flush().await.is_ok() {} };
    timeout(Duration::from_secs(20), given_up).await.expect("the connection is reset");
}

/// The same in HTTP/2: the client opens no window for the answer. Its stream is reset, with or without taking the connection along.
#[actix_web::test]
async fn a_stream_whose_answer_is_not_taken_is_given_up() {
    let app = impatient().await;
    let mut stream = wire::tls(&app, "h2").await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    // SETTINGS_INITIAL_WINDOW_SIZE = 0
    stream.write_all(b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0").await.unwrap();
    // HEADERS, end of stream, end of headers: GET https localhost /livez
    let fields = b"\x82\x87\x04\x06/livez\x41\x09localhost";
    let mut frame = vec![0, 0, u8::try_from(fields.len()).unwrap(), 1, 5, 0, 0, 0, 1];
    frame.extend(fields);
    stream.write_all(&frame).await.unwrap();
    let reset = async {
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            let mut payload = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
            stream.read_exact(&mut payload).await.unwrap();
            assert_ne!(head[3], 0, "no DATA frame has a window");
            // RST_STREAM
            if head[3] == 3 && head[8] == 1 {
                return;
            }
        }
    };
    timeout(Duration::from_secs(10), reset).await.expect("the stream is reset");
    assert_eq!(app.visitor().get("/livez").await.status, 200);
}
