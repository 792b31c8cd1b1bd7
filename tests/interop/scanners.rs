//! sslyze compares what the listener speaks, and its certificate, with Mozilla's recommendations (guidelines 5.7), for both profiles.

use crate::service::{Service, python, run};

#[test]
fn a_scanner_finds_tls_as_mozilla_recommends_it() {
    for profile in ["modern", "intermediate"] {
        let service = Service::with(&[("PORTCULLIS_TLS_PROFILE", profile)]);
        let mut scan = python("sslyze");
        scan.args(["--certinfo", "--certinfo_ca_file"]).arg(service.authority());
        // localhost: the name in the development certificate
        let said = run(scan.args([&format!("--mozilla_config={profile}"), &format!("localhost:{}", service.port)]));
        assert!(said.contains("OK - Compliant"), "{profile}: {said}");
    }
}

/// The scanner tells the two apart: what is fine for one is not for the other.
#[test]
fn the_scanner_sees_what_is_not_modern() {
    let service = Service::with(&[("PORTCULLIS_TLS_PROFILE", "intermediate")]);
    let mut scan = python("sslyze");
    scan.args(["--certinfo", "--certinfo_ca_file"]).arg(service.authority());
    let output = scan.args(["--mozilla_config=modern", &format!("localhost:{}", service.port)]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("TLS versions {'TLSv1.2'} are supported, but should be rejected"), "{said}");
}
