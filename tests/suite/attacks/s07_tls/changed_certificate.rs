//! The certificate is replaced while people use the service: nobody loses a connection, and a pair of files that cannot be used
//! (half written, of two different pairs, expired) takes nothing away.

use crate::support::{app::TestApp, log};
use portcullis::{
    platform::clock::Clock,
    server::tls::{Issued, issue_once},
};
use reqwest::{Certificate, Client};
use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

fn issue() -> Issued {
    issue_once("localhost", &Clock::system()).unwrap()
}

fn put(folder: &Path, certificate: &str, key: &str) {
    // as tools do: the one after the other
    fs::write(folder.join("certificate.pem"), certificate).unwrap();
    fs::write(folder.join("key.pem"), key).unwrap();
}

/// A client that makes a connection for each request.
fn trusting(authorities: &[&Issued]) -> Client {
    let authorities = authorities.iter().map(|issued| Certificate::from_pem(issued.authority.as_bytes()).unwrap());
    Client::builder().tls_certs_only(authorities).pool_max_idle_per_host(0).no_proxy().build().unwrap()
}

#[actix_web::test]
async fn a_new_certificate_is_taken_up_without_a_lost_request_and_a_bad_one_is_not() {
    let (folder, first, second) = (tempfile::tempdir().unwrap(), issue(), issue());
    put(folder.path(), &first.certificate, &first.key);
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let app = TestApp::with(&[("PORTCULLIS_TLS_CERTIFICATE_FILE", &path("certificate.pem")), ("PORTCULLIS_TLS_KEY_FILE", &path("key.pem"))]).await;
    let url = format!("https://localhost:{}/livez", app.address().port());
    let is_shown = async |issued: &Issued| trusting(&[issued]).get(&url).send().await.is_ok();
    assert!(is_shown(&first).await && !is_shown(&second).await);

    let (is_over, served) = (AtomicBool::new(false), AtomicU32::new(0));
    let load = async {
        let client = trusting(&[&first, &second]);
        while !is_over.load(Ordering::Relaxed) {
            assert_eq!(client.get(&url).send().await.expect("every request is served").status(), 200);
            served.fetch_add(1, Ordering::Relaxed);
        }
    };
    let change = async {
        app.wait_for("some load", async || (served.load(Ordering::Relaxed) > 5).then_some(())).await;
        put(folder.path(), &second.certificate, &second.key);
        app.wait_for("the new certificate", async || is_shown(&second).await.then_some(())).await;
        assert!(!is_shown(&first).await);
        is_over.store(true, Ordering::Relaxed);
    };
    futures_util::future::join(load, change).await;

    let refusals = || log::text().lines().filter(|line| line.contains("the old certificate stays") && line.contains(&path(""))).count();
    let long_ago = Clock::system();
    long_ago.advance(-time::Duration::days(11 * 365));
    let ended = issue_once("localhost", &long_ago).unwrap();
    let bad = [
        (&first.certificate, &second.key),
        (&ended.certificate, &ended.key),
        (&"-----BEGIN CERTIFICATE-----\n".to_owned(), &first.key),
        (&first.certificate, &String::new()),
    ];
    for (certificate, key) in bad {
        let before = refusals();
        put(folder.path(), certificate, key);
        app.wait_for("the refusal", async || (refusals() > before).then_some(())).await;
        assert!(is_shown(&second).await, "the one that worked stays");
    }
    let before = refusals();
    fs::remove_file(path("key.pem")).unwrap();
    app.wait_for("the loss", async || (refusals() > before).then_some(())).await;
    assert!(is_shown(&second).await, "the one that worked stays");
}
