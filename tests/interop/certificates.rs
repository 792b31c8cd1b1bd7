//! A certificate authority of the kind that browsers trust (Let's Encrypt's test server, pebble) gives the service its certificate and
//! renews it, by a challenge over HTTP and by one within TLS; who is connected notices nothing.

use crate::service::{Service, free_ports, run};
use portcullis::{platform::clock::Clock, server::tls::issue_once};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// How long pebble's certificates are valid: renewed after two thirds.
const SECONDS: u64 = 30;

struct Pebble {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
    management: u16,
}

impl Pebble {
    /// Looks for challenges at these ports.
    fn start(http: u16, tls: u16) -> Self {
        let (folder, own) = (tempfile::tempdir().unwrap(), issue_once("localhost", &Clock::system()).unwrap());
        let [port, management] = free_ports();
        let path = |name: &str| folder.path().join(name);
        for (name, text) in [("ca.pem", &own.authority), ("cert.pem", &own.certificate), ("key.pem", &own.key)] {
            fs::write(path(name), text).unwrap();
        }
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{port}"), "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": path("cert.pem"), "privateKey": path("key.pem"), "httpPort": http, "tlsPort": tls,
            "ocspResponderURL": "", "externalAccountBindingRequired": false, "certificateValidityPeriod": SECONDS,
        }});
        fs::write(path("config.json"), config.to_string()).unwrap();
        let mut pebble = Command::new("pebble");
        pebble.arg("-config").arg(path("config.json")).env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "0");
        let child = pebble.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("pebble (Debian: pebble)");
        Self { child, folder, port, management }
    }

    fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// What its certificates are verified by.
    fn root(&self) -> Vec<u8> {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--fail", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", "--cacert"]).arg(self.authority());
        run(curl.arg(format!("https://localhost:{}/roots/0", self.management))).into_bytes()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

async fn connect(port: u16, root: &[u8]) -> Option<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let config = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await.ok()
}

fn leaf(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

async fn wait_for<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(4 * SECONDS);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn is_ordered_and_renewed(over_http: bool) {
    let [https, http] = free_ports();
    let pebble = Pebble::start(http, https);
    let root = pebble.root();
    let (directory, authority) = (format!("https://localhost:{}/dir", pebble.port), pebble.authority());
    let (https_listen, http_listen) = (format!("127.0.0.1:{https}"), format!("127.0.0.1:{http}"));
    let _service = Service::with(&[
        ("PORTCULLIS_TLS", "acme"),
        ("PORTCULLIS_ACME_DIRECTORY", &directory),
        ("PORTCULLIS_ACME_CA_FILE", path(&authority)),
        ("PORTCULLIS_ACME_CONTACT", "operator@example.org"),
        ("PORTCULLIS_HTTPS_LISTEN", &https_listen),
        ("PORTCULLIS_HTTP_LISTEN", if over_http { &http_listen } else { "off" }),
        ("PORTCULLIS_IDLE_TIMEOUT_SECONDS", "300"),
    ]);
    let first = wait_for("a certificate", async || Some(leaf(&connect(https, &root).await?))).await;

    let mut before = wait_for("a connection", async || connect(https, &root).await).await;
    before.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert!(read(&mut before).await.starts_with("HTTP/1.1 200"));
    wait_for("another certificate", async || Some(leaf(&connect(https, &root).await?)).filter(|shown| *shown != first)).await;
    before.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert!(read(&mut before).await.starts_with("HTTP/1.1 200"), "the old connection goes on");
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What comes of one small answer.
async fn read(stream: &mut TlsStream<TcpStream>) -> String {
    let mut answer = vec![0; 8192];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn a_certificate_is_ordered_and_renewed_by_challenges_over_http() {
    is_ordered_and_renewed(true).await;
}

#[tokio::test]
async fn a_certificate_is_ordered_and_renewed_by_challenges_within_tls() {
    is_ordered_and_renewed(false).await;
}
