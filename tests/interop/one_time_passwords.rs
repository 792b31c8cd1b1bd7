//! Another implementation of RFC 6238, oathtool, is the authenticator app: its codes are accepted, once.

use crate::service::{Service, run};
use serde_json::{Value, json};
use std::process::Command;

/// The code at this time, `+0 seconds` from now.
fn code(secret: &str, at: &str) -> String {
    run(Command::new("oathtool").args(["--totp", "--base32", "--now", &format!("now {at}"), secret])).trim().to_owned()
}

#[test]
fn codes_of_oathtool_are_accepted_once() {
    let service = Service::with(&[]);
    let password = service.administrator();
    let sign_in = json!({ "email": "root@example.org", "password": password, "transport": "token", "refresh_in": "body" }).to_string();
    let token = service.post("/v1/auth/login", &sign_in)["access_token"].as_str().unwrap().to_owned();
    let bearer = format!("Authorization: Bearer {token}");
    let call = |path: &str, body: &str| run(service.curl(path).args(["--header", &bearer, "--json", body]));
    let as_root = |path: &str, body: &str| -> Value { serde_json::from_str(&call(path, body)).unwrap() };
    let proof = as_root("/v1/me/mailbox", "{}")["proof_id"].clone();
    let mailed = service.in_a_letter("where you began: ", 8);
    call("/v1/me/mailbox/confirm", &json!({ "proof_id": proof, "code": mailed }).to_string());
    let secret = as_root("/v1/me/mfa/totp", "{}")["secret"].as_str().unwrap().to_owned();
    let confirmed = as_root("/v1/me/mfa/totp/confirm", &json!({ "code": code(&secret, "-20 seconds") }).to_string());
    assert_eq!(confirmed["recovery_codes"].as_array().unwrap().len(), 10);

    let asked = service.post("/v1/auth/login", &sign_in);
    // of the step after the one that is spent, whichever it was
    let code = code(&secret, "+20 seconds");
    let shown = json!({ "mfa_token": asked["mfa_token"], "code": code }).to_string();
    assert!(service.post("/v1/auth/mfa/verify", &shown)["access_token"].is_string());
    let again = json!({ "mfa_token": service.post("/v1/auth/login", &sign_in)["mfa_token"], "code": code }).to_string();
    let refused = service.curl("/v1/auth/mfa/verify").args(["--json", &again]).output().unwrap();
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("403"), "{refused:?}");
}
