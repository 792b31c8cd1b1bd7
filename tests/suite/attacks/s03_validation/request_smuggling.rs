//! Requests that two parsers would cut at different places (CL.TE, TE.CL, odd chunks, folded lines) and hide a second one from whoever
//! stands in front. Each is refused, the connection ends, and the hidden request is never done.

use crate::support::{app::TestApp, wire};
use serde_json::json;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

/// Registers an address that nobody else names: it is in the database when it was done.
fn hidden(number: usize) -> String {
    let body = json!({ "email": format!("hidden{number}@example.org") }).to_string();
    format!("POST /v1/auth/register HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Sends all of it and reads to the end of the connection, or for so long. Gives what came and whether the connection ended.
async fn exchange(app: &TestApp, bytes: &[u8]) -> (String, bool) {
    let mut stream = wire::tls(app, "http/1.1").await;
    let mut answer = Vec::new();
    // the other side may hang up before everything is sent
    let sent = stream.write_all(bytes).await.and(stream.flush().await);
    let ended = timeout(Duration::from_secs(3), stream.read_to_end(&mut answer)).await.is_ok();
    (String::from_utf8_lossy(&answer).into_owned(), ended || sent.is_err())
}

fn statuses(answer: &str) -> Vec<u16> {
    answer.split("HTTP/1.1 ").skip(1).map(|rest| rest[..3].parse().unwrap()).collect()
}

async fn times_done(app: &TestApp, number: usize) -> i64 {
    let email = format!("hidden{number}@example.org");
    sqlx::query_scalar("SELECT count(*) FROM mailed_proofs WHERE email = $1").bind(email).fetch_one(&app.database.pool).await.unwrap()
}

const START: &str = "POST /v1/auth/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";

/// Heads whose body ends at another place for another parser; the hidden request follows where one of them thinks that it ended.
fn framings() -> Vec<(&'static str, String)> {
    let head = |fields: &str| format!("{START}{fields}\r\n");
    let length = hidden(10).len() + 5;
    vec![
        ("length and chunks", head(&format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n")) + "0\r\n\r\n"),
        ("chunks and length", head(&format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n")) + "0\r\n\r\n"),
        ("chunks and no length", head("transfer-encoding: chunked\r\ncontent-length: 0\r\n") + "0\r\n\r\n"),
        ("two lengths", head(&format!("content-length: 0\r\ncontent-length: {length}\r\n"))),
        ("two lengths, the longer first", head(&format!("content-length: {length}\r\ncontent-length: 0\r\n"))),
        ("the same length twice", head("content-length: 2\r\ncontent-length: 2\r\n") + "{}"),
        ("a list of lengths", head("content-length: 2, 2\r\n") + "{}"),
        ("a signed length", head("content-length: +2\r\n") + "{}"),
        ("a negative length", head("content-length: -2\r\n") + "{}"),
        ("a length in hexadecimal", head("content-length: 0x2\r\n") + "{}"),
        ("a length that is none", head("content-length: \r\n") + "{}"),
        ("a length beyond all numbers", head("content-length: 18446744073709551618\r\n") + "{}"),
        ("chunks inside something else", head("transfer-encoding: chunked, identity\r\n") + "0\r\n\r\n"),
        ("chunks twice", head("transfer-encoding: chunked, chunked\r\n") + "0\r\n\r\n"),
        ("chunks, then something else", head("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n") + "0\r\n\r\n"),
        ("something else, then chunks", head("transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n") + "0\r\n\r\n"),
        ("another coding", head("transfer-encoding: gzip, chunked\r\n") + "0\r\n\r\n"),
        ("something like chunks", head("transfer-encoding: xchunked\r\n") + "0\r\n\r\n"),
        ("chunks behind a vertical tab", head("transfer-encoding: \x0bchunked\r\n") + "0\r\n\r\n"),
        ("chunks with a quote", head("transfer-encoding: \"chunked\"\r\n") + "0\r\n\r\n"),
        ("a folded coding", head("transfer-encoding:\r\n chunked\r\n") + "0\r\n\r\n"),
        ("a folded field", head("x: a\r\n b\r\ncontent-length: 2\r\n") + "{}"),
        ("a space before the colon", head("content-length : 2\r\n") + "{}"),
        ("a coding with a space before the colon", head("transfer-encoding : chunked\r\n") + "0\r\n\r\n"),
        ("a field that begins with a space", "POST /v1/auth/login HTTP/1.1\r\n content-length: 2\r\nhost: localhost\r\n\r\n{}".into()),
        ("no colon", head("content-length 2\r\n") + "{}"),
        ("a control character in a name", head("x\x01y: a\r\ncontent-length: 2\r\n") + "{}"),
        ("a NUL in a value", head("x: a\0b\r\ncontent-length: 2\r\n") + "{}"),
        ("a carriage return in a value", head("x: a\rcontent-length: 9\r\ncontent-length: 2\r\n") + "{}"),
        ("chunks in HTTP/1.0", head("transfer-encoding: chunked\r\n").replace("HTTP/1.1", "HTTP/1.0") + "0\r\n\r\n"),
        ("a chunk size in hexadecimal notation", head("transfer-encoding: chunked\r\n") + "0x2\r\n{}\r\n0\r\n\r\n"),
        ("a signed chunk size", head("transfer-encoding: chunked\r\n") + "+2\r\n{}\r\n0\r\n\r\n"),
        ("a negative chunk size", head("transfer-encoding: chunked\r\n") + "-2\r\n{}\r\n0\r\n\r\n"),
        ("a chunk size that is none", head("transfer-encoding: chunked\r\n") + "\r\n{}\r\n0\r\n\r\n"),
        ("a chunk size beyond all numbers", head("transfer-encoding: chunked\r\n") + "10000000000000002\r\n{}\r\n0\r\n\r\n"),
        ("a space before the chunk size", head("transfer-encoding: chunked\r\n") + " 2\r\n{}\r\n0\r\n\r\n"),
        ("a chunk size that ends in a bare line feed", head("transfer-encoding: chunked\r\n") + "2\n{}\r\n0\r\n\r\n"),
        ("a chunk that is longer than it says", head("transfer-encoding: chunked\r\n") + "2\r\n{}{}\r\n0\r\n\r\n"),
        ("a chunk extension with a line feed", head("transfer-encoding: chunked\r\n") + "2;a\nb\r\n{}\r\n0\r\n\r\n"),
        ("two hosts", head("host: evil.example\r\ncontent-length: 2\r\n") + "{}"),
        ("no host", head("content-length: 2\r\n").replace("host: localhost\r\n", "") + "{}"),
        ("HTTP/0.9", "GET /livez\r\n\r\n".into()),
        ("HTTP/3.0", "GET /livez HTTP/3.0\r\nhost: localhost\r\n\r\n".into()),
        ("a version that is none", "GET /livez HTTP/1.1x\r\nhost: localhost\r\n\r\n".into()),
        ("a target with a space", "GET /livez x HTTP/1.1\r\nhost: localhost\r\n\r\n".into()),
        ("a tunnel", "CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example:443\r\n\r\n".into()),
        ("a method that is none", "G(T /livez HTTP/1.1\r\nhost: localhost\r\n\r\n".into()),
        ("a target without end", format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "a".repeat(200_000))),
        ("a thousand fields", format!("GET /livez HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: y\r\n".repeat(1000))),
    ]
}

#[actix_web::test]
async fn what_two_parsers_would_cut_differently_is_refused_and_hides_nothing() {
    let app = TestApp::start().await;
    let mut bad = Vec::new();
    for (number, (name, bytes)) in framings().into_iter().enumerate() {
        let (answer, ended) = exchange(&app, (bytes + &hidden(number + 10)).as_bytes()).await;
        let statuses = statuses(&answer);
        let is_done = times_done(&app, number + 10).await > 0;
        if is_done || !ended || statuses.len() > 1 || statuses.iter().any(|status| !(400..500).contains(status)) {
            bad.push(format!("{name}: {statuses:?}, ended: {ended}, the hidden request done: {is_done}"));
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
    // and the service is as it was
    assert_eq!(app.visitor().get("/livez").await.status, 200);
    let control = exchange(&app, hidden(1).as_bytes()).await;
    assert_eq!((statuses(&control.0), times_done(&app, 1).await), (vec![202], 1), "the hidden request is one that would be done");
}

/// Cut alike by everybody, but meant for somebody else: refused, and what follows is another request.
#[actix_web::test]
async fn a_request_is_for_one_host_that_could_be_one() {
    let app = TestApp::start().await;
    let get = |target: &str, host: &str| format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    for (target, host, expected) in [
        ("/livez", "localhost:8443", 200),
        ("/livez", "[::1]:8443", 200),
        ("https://localhost/livez", "localhost", 200),
        ("https://evil.example/livez", "localhost", 400),
        ("evil.example:443", "localhost", 400),
        ("/livez", "local host", 400),
        ("/livez", "localhost/x", 400),
        ("/livez", "evil.example@localhost", 400),
        ("/livez", "", 400),
        ("*", "localhost", 400),
    ] {
        let (answer, _) = exchange(&app, get(target, host).as_bytes()).await;
        assert_eq!(statuses(&answer), [expected], "{target} of {host}: {answer}");
    }
}

/// Not refused, but nothing comes of it: what asks for another protocol, or wants to be asked before it sends.
#[actix_web::test]
async fn nobody_is_talked_into_another_protocol() {
    let app = TestApp::start().await;
    let get = |fields: &str| format!("GET /livez HTTP/1.1\r\nhost: localhost\r\n{fields}connection: close\r\n\r\n");
    for (name, bytes, expected) in [
        ("h2c", get("connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n"), 200),
        ("websocket", get("connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAA\r\n"), 200),
        ("a header taken away by `Connection`", get("connection: close, x-forwarded-for\r\nx-forwarded-for: 203.0.113.9\r\n"), 200),
        ("a method in lower case", get("").replace("GET", "get"), 405),
        ("a method that nobody knows", get("").replace("GET", "BREW"), 405),
    ] {
        let (answer, ended) = exchange(&app, bytes.as_bytes()).await;
        assert_eq!((statuses(&answer), ended), (vec![expected], true), "{name}: {answer}");
    }
}
