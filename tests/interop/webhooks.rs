//! The libraries of Standard Webhooks verify what endpoints are told: for Python and for JavaScript.

use crate::{
    service::{node, python},
    support::{
        app::TestApp,
        receiver::{Received, Receiver, Subscribed},
    },
};
use serde_json::json;
use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

/// What a library says of each of these, one after the other.
fn said(mut command: Command, messages: &[(&str, &Received)]) -> Vec<String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for (secret, Received { id, timestamp, signature, body, .. }) in messages {
        let headers = json!({ "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature });
        writeln!(input, "{}", json!([secret, headers, body])).unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[actix_web::test]
async fn libraries_of_standard_webhooks_verify_what_endpoints_are_told() {
    let receiver = Receiver::start(&["127.0.0.1"]);
    let settings = receiver.settings();
    let app = TestApp::with(&settings.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
    let root = app.administrator().await;
    let old = root.subscribe(&receiver.url(), &["account.created"]).await;
    assert_eq!(root.post(&old.path("/test"), json!({})).await.status, 202);
    receiver.wait_for(&app, 1).await;
    // while the keys are replaced it is signed by both
    let new = Subscribed::of(&root.post(&old.path("/rotate-secret"), json!({})).await);
    app.create_account("ada@example.org").await;
    let received = receiver.wait_for(&app, 2).await;
    let altered = Received { body: received[1].body.replace("success", "refused"), ..received[1].clone() };
    assert_ne!(altered.body, received[1].body);

    let messages = [(&old, &received[0]), (&old, &received[1]), (&new, &received[1]), (&new, &received[0]), (&new, &altered)];
    let expected = ["webhook.test", "account.created", "account.created", "refused", "refused"];
    let by_secret = messages.map(|(keys, message)| (keys.secret.as_str(), message));
    let by_key = messages.map(|(keys, message)| (keys.public_key.as_str(), message));
    let scripts = Path::new("tests/interop");
    let mut with_python = python("python");
    with_python.arg(scripts.join("verify_webhook.py"));
    assert_eq!(said(with_python, &by_secret), expected, "Python");
    let modules = node();
    for messages in [by_secret, by_key] {
        let mut with_node = Command::new("node");
        with_node.arg(scripts.join("verify_webhook.mjs")).env("MODULES", &modules);
        assert_eq!(said(with_node, &messages), expected, "JavaScript");
    }
}
