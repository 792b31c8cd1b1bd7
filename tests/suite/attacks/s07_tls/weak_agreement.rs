//! What client and server agree on: HTTP/2 and a hybrid post-quantum key exchange where the client can, TLS 1.3 alone where the
//! profile says so, sessions resumed, and no early data, which could be replayed.

use crate::support::{app::TestApp, wire};
use rustls::{
    ClientConfig, HandshakeKind, NamedGroup, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    version,
};
use std::{path::Path, sync::Arc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsConnector, client::TlsStream};

fn config(versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let authority = portcullis::server::tls::authority_certificate(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("tls"));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let mut config = builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots).with_no_client_auth();
    config.enable_early_data = true;
    Arc::new(config)
}

async fn connect(app: &TestApp, config: &Arc<ClientConfig>) -> std::io::Result<TlsStream<tokio::net::TcpStream>> {
    let stream = wire::tcp(app, "127.0.0.1").await;
    TlsConnector::from(Arc::clone(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

/// Asks once, so that the tickets that come after the handshake are read.
async fn ask(stream: &mut TlsStream<tokio::net::TcpStream>) {
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[actix_web::test]
async fn the_best_that_both_sides_know_is_agreed_on() {
    let app = TestApp::with(&[("PORTCULLIS_WORKERS", "2")]).await;
    for (offered, version) in [(&[&version::TLS12, &version::TLS13][..], ProtocolVersion::TLSv1_3), (&[&version::TLS12], ProtocolVersion::TLSv1_2)] {
        let config = config(offered);
        let mut first = connect(&app, &config).await.unwrap();
        let agreed = &first.get_ref().1;
        assert_eq!((agreed.protocol_version(), agreed.handshake_kind()), (Some(version), Some(HandshakeKind::Full)));
        if version == ProtocolVersion::TLSv1_3 {
            assert_eq!(agreed.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
        }
        ask(&mut first).await;
        // whichever thread takes it
        for _ in 0..3 {
            let mut again = connect(&app, &config).await.unwrap();
            assert_eq!(again.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed), "{version:?}");
            assert!(!again.get_ref().1.is_early_data_accepted());
            ask(&mut again).await;
        }
    }
    assert_eq!(wire::tls(&app, "h2").await.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
}

#[actix_web::test]
async fn the_modern_profile_speaks_nothing_older_than_1_3() {
    let app = TestApp::with(&[("PORTCULLIS_TLS_PROFILE", "modern")]).await;
    assert!(connect(&app, &config(&[&version::TLS12])).await.is_err());
    assert!(connect(&app, &config(&[&version::TLS13])).await.is_ok());
}
