//! What a real browser makes of the service: Chromium, driven by Playwright, on a service with the name `id.example.test`, beside a
//! sibling site and a foreign one on the same machine. What the scripts expect is in them; this only starts and judges them.
//!
//! `cargo test --features browser --test browser`; needs Chromium, Node.js 20, npm and its registry on the first run.

#[path = "../interop/provider.rs"]
mod provider;
#[expect(dead_code, reason = "the peers', of which this needs a part")]
#[path = "../interop/service.rs"]
mod service;

use provider::Provider;
use rcgen::{CertificateParams, KeyPair};
use service::{Service, free_ports, node, run};
use std::process::Command;

const NAMES: [&str; 3] = ["id.example.test", "shop.example.test", "evil.test"];

/// Runs a script against a service of its own, in which `root@example.org` is an administrator, and beside which there is a provider to
/// sign in with.
fn in_browser(script: &str) {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(NAMES.map(str::to_owned)).unwrap().self_signed(&key).unwrap();
    let (certificate_file, key_file) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate_file, certificate.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();

    let [port, at_provider] = free_ports();
    let origin = format!("https://{}:{port}", NAMES[0]);
    let _provider = Provider::start(at_provider, &format!("{origin}/go/oauth/corp"));
    let issuer = format!("http://127.0.0.1:{at_provider}");
    let entry = serde_json::json!({ "name": "corp", "issuer": issuer, "client_id": provider::CLIENT, "client_secret": provider::SECRET, "trust_email": true });
    let service = Service::with(&[
        ("PORTCULLIS_IDENTITY_PROVIDERS", &serde_json::json!([entry]).to_string()),
        ("PORTCULLIS_HTTPS_LISTEN", &format!("127.0.0.1:{port}")),
        ("PORTCULLIS_PUBLIC_URL", &origin),
        ("PORTCULLIS_TLS_CERTIFICATE_FILE", certificate_file.to_str().unwrap()),
        ("PORTCULLIS_TLS_KEY_FILE", key_file.to_str().unwrap()),
    ]);
    let password = service.administrator();
    let mut browser = Command::new("node");
    browser.arg(format!("tests/browser/{script}")).env("MODULES", node());
    browser.env("ORIGIN", &origin).env("PASSWORD", password).env("CERTIFICATE", &certificate_file).env("KEY", &key_file).env("MAIL", service.mail());
    run(&mut browser);
}

#[test]
fn a_stored_script_never_runs() {
    in_browser("stored_script.mjs");
}

#[test]
fn pages_of_other_sites_change_nothing_and_read_nothing() {
    in_browser("other_sites.mjs");
}

#[test]
fn cookies_are_out_of_the_reach_of_scripts_and_siblings() {
    in_browser("cookies.mjs");
}

#[test]
fn passkeys_register_and_sign_in() {
    in_browser("passkeys.mjs");
}

#[test]
fn who_signs_in_with_others_comes_back_by_the_page_and_with_the_second_factor() {
    in_browser("sign_in_with_others.mjs");
}
