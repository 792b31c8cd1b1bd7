//! Libraries verify our tokens, knowing nothing but where the public keys are: PyJWT and jose.

use crate::service::{Service, node, python, run};
use std::{path::Path, process::Command};

fn access_token(service: &Service) -> String {
    let password = service.administrator();
    let body = format!(r#"{{"email":"root@example.org","password":"{password}","transport":"token"}}"#);
    service.post("/v1/auth/login", &body)["access_token"].as_str().unwrap().to_owned()
}

#[test]
fn others_verify_our_tokens_through_the_published_keys_alone() {
    let modules = node();
    let scripts = Path::new("tests/interop");
    for algorithm in ["EdDSA", "ES256", "RS256"] {
        let service = Service::with(&[("PORTCULLIS_TOKEN_ALGORITHM", algorithm)]);
        let token = access_token(&service);
        let altered = format!("{}{}", &token[..token.len() - 5], if token.ends_with("AAAAA") { "BBBBB" } else { "AAAAA" });
        let keys = format!("{}/.well-known/jwks.json", service.url);
        // the development certificate's name and the issuer are the same: the default public URL
        let issuer = "https://localhost:8443";
        for (token, expected) in [(&token, "root: aal1 pwd"), (&altered, "refused")] {
            let arguments = [keys.as_str(), issuer, algorithm, token];
            let mut with_python = python("python");
            with_python.arg(scripts.join("verify.py")).args(arguments).env("SSL_CERT_FILE", service.authority());
            assert_eq!(run(&mut with_python).trim(), expected, "PyJWT, {algorithm}");
            let mut with_node = Command::new("node");
            with_node.arg(scripts.join("verify.mjs")).args(arguments).env("NODE_EXTRA_CA_CERTS", service.authority());
            with_node.env("MODULES", &modules);
            assert_eq!(run(&mut with_node).trim(), expected, "jose, {algorithm}");
        }
    }
}
