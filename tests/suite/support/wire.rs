//! A connection by hand, for what no well-behaved client does.

use super::app::TestApp;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{interval, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// The client's half of HTTP/2's beginning: the preface and empty settings (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// TCP from one of this machine's loopback addresses.
pub async fn tcp(app: &TestApp, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    socket.connect(app.address()).await.unwrap()
}

/// TLS that agrees on this protocol (`http/1.1`, `h2`).
pub async fn tls(app: &TestApp, protocol: &str) -> TlsStream<TcpStream> {
    try_tls(tcp(app, "127.0.0.1").await, protocol).await.unwrap()
}

pub async fn try_tls(stream: TcpStream, protocol: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let authority = portcullis::server::tls::authority_certificate(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("tls"));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));
    Ok(stream)
}

/// Reads one answer of HTTP/1.1 whose length is announced.
pub async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    loop {
        answer.push(stream.read_u8().await.unwrap());
        if answer.ends_with(b"\r\n\r\n") {
            let head = String::from_utf8(answer.clone()).unwrap();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |length| length.parse().unwrap());
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
            return head + &String::from_utf8(body).unwrap();
        }
    }
}

/// Sends these bytes again and again, a few a second, and reads nothing into the answer: does the other side hang up within ten seconds?
pub async fn is_given_up_while_sending(stream: impl AsyncRead + AsyncWrite, bytes: &[u8]) -> bool {
    let (mut read, mut write) = tokio::io::split(stream);
    let hung_up = async {
        let mut dribble = interval(Duration::from_millis(100));
        let mut taken = vec![0; 16 << 10];
        loop {
            tokio::select! {
                // a reset is an end, too
                read = read.read(&mut taken) => if read.unwrap_or(0) == 0 { return },
                _ = dribble.tick() => if write.write_all(bytes).await.is_err() { return },
            }
        }
    };
    timeout(Duration::from_secs(10), hung_up).await.is_ok()
}
