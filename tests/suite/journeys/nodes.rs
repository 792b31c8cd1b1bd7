//! Two processes on one database: what one does the other knows, and the keys of both are changed by a third.

use crate::journeys::the_binary::{Running, portcullis, wait_until};
use serde_json::Value;
use std::{cell::RefCell, path::Path};

/// Calls a node as a client with tokens would.
struct Client<'n> {
    nodes: [&'n Running; 2],
    password: String,
    tokens: RefCell<Value>,
}

impl Client<'_> {
    fn call(&self, node: usize, rest: &str) -> (u16, String) {
        let node = self.nodes[node];
        let said = node.shell(&format!("curl -sS --cacert data/tls/ca.pem -w '\\n%{{http_code}}' https://localhost:8443{rest}"));
        let (body, status) = said.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    fn sign_in(&self, node: usize) {
        let password = &self.password;
        let body = format!("{{\"email\":\"root@example.org\",\"password\":\"{password}\",\"transport\":\"token\",\"refresh_in\":\"body\"}}");
        let (status, said) = self.call(node, &format!("/v1/auth/login --json '{body}'"));
        assert_eq!(status, 200, "{said}");
        *self.tokens.borrow_mut() = serde_json::from_str(&said).unwrap();
    }

    fn verify(&self, node: usize) -> u16 {
        let token = self.tokens.borrow()["access_token"].as_str().unwrap().to_owned();
        self.call(node, &format!("/v1/auth/verify -H 'Authorization: Bearer {token}'")).0
    }

    fn refresh(&self, node: usize) -> u16 {
        let token = self.tokens.borrow()["refresh_token"].as_str().unwrap().to_owned();
        let (status, said) = self.call(node, &format!("/v1/auth/token/refresh --json '{{\"refresh_token\":\"{token}\"}}'"));
        if status == 200 {
            *self.tokens.borrow_mut() = serde_json::from_str(&said).unwrap();
        }
        status
    }
}

fn keys(folder: &Path, arguments: &[&str]) -> String {
    let output = portcullis(folder).arg("keys").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn make_account(folder: &Path) -> String {
    let output = portcullis(folder).args(["admin", "create", "--email", "root@example.org"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().find_map(|line| line.strip_prefix("password (shown this once): ")).unwrap().to_owned()
}

#[test]
fn two_nodes_know_the_same_and_their_keys_change_under_them() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (Running::start(folder.path()), Running::start(folder.path()));
    let password = make_account(folder.path());
    let client = Client { nodes: [&first, &second], password, tokens: RefCell::default() };
    client.sign_in(0);
    assert_eq!((client.verify(0), client.verify(1)), (200, 200));
    assert_eq!((client.refresh(1), client.verify(0), client.refresh(0), client.verify(1)), (200, 200, 200, 200));

    let listed = keys(folder.path(), &["list"]);
    assert!(listed.contains("token_signing  v1    EdDSA  active") && listed.contains("v2    EdDSA  next"), "{listed}");
    assert!(listed.lines().any(|line| line.starts_with("pepper ")) && !listed.contains("[redacted]"), "{listed}");
    let too_early = portcullis(folder.path()).args(["keys", "rotate", "token_signing"]).output().unwrap();
    assert!(String::from_utf8_lossy(&too_early.stderr).contains("others may not know it"));
    let rotated = keys(folder.path(), &["rotate", "token_signing", "--now"]);
    assert!(rotated.contains("v1    EdDSA  retired") && rotated.contains("accepted until") && rotated.contains("v2    EdDSA  active"), "{rotated}");
    assert_eq!((client.verify(0), client.verify(1)), (200, 200), "the old token goes on");
    assert_eq!((client.refresh(0), client.verify(1), client.refresh(1), client.verify(0)), (200, 200, 200, 200));

    keys(folder.path(), &["revoke", "token_signing"]);
    wait_until("the keys are worth nothing on both nodes", || client.verify(0) == 401 && client.verify(1) == 401);
    assert_eq!((client.refresh(0), client.verify(1)), (200, 200), "clients refresh and go on");
    keys(folder.path(), &["rotate", "token_signing", "--now"]);
    keys(folder.path(), &["retire", "token_signing"]);
    wait_until("the overlap is over on both nodes", || client.verify(0) == 401 && client.verify(1) == 401);
    assert_eq!((client.refresh(1), client.verify(0)), (200, 200));
    keys(folder.path(), &["revoke", "refresh_token"]);
    wait_until("every session with tokens is over", || client.verify(0) == 401 && client.verify(1) == 401);
    assert_eq!(client.refresh(0), 401);
    for (wrong, said) in
        [(["retire", "pepper"], "end by themselves"), (["revoke", "pepper"], "--yes-destroy"), (["revoke", "audit_chain"], "are not revoked")]
    {
        let refused = portcullis(folder.path()).arg("keys").args(wrong).output().unwrap();
        assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains(said));
    }

    client.sign_in(1);
    let token = client.tokens.borrow()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(client.call(1, &format!("/v1/auth/logout -X POST -H 'Authorization: Bearer {token}'")).0, 204);
    assert_eq!(client.verify(1), 401, "here at once");
    wait_until("it is over there too", || client.verify(0) == 401);
    assert_eq!(client.refresh(0), 401);
    second.signal("-TERM");
    assert!(second.end());
    first.signal("-TERM");
    assert!(first.end());
}
