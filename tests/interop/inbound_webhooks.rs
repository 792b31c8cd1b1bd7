//! Others sign for us: standardwebhooks from PyPI and npm by a secret; neither signs with Ed25519, so that `v1a` is cryptography's and
//! Node's own.

use crate::service::{Service, node, python, run};
use std::{path::Path, process::Command};

const SECRET: &str = "whsec_dG9ydG9pc2VzIHdlYXIgYnJvd24gYm9vdHMu";
const KEY: &str = "whsk_Z3JleSBoZXJvbnMgd2FpdCBhdCB0aGUgd2Vpci4uLi4=";
/// The public half of the key.
const SOURCES: &str = r#"[{"name":"hr","scheme":"standard","secrets":["whsec_dG9ydG9pc2VzIHdlYXIgYnJvd24gYm9vdHMu"]},{"name":"keyed","scheme":"standard","public_keys":["PUBLIC"]}]"#;

fn deliver(service: &Service, source: &str, headers: &str, body: &str) -> String {
    let mut curl = service.curl(&format!("/v1/webhooks/inbound/{source}"));
    headers.lines().for_each(|header| _ = curl.args(["-H", header]));
    curl.args(["-o", "/dev/null", "-w", "%{http_code}", "--data-binary", body]);
    // a refusal is a failure of curl's, too
    String::from_utf8(curl.output().unwrap().stdout).unwrap()
}

#[test]
fn what_others_sign_is_taken_in_once_and_what_is_altered_is_not() {
    let public = KEY.parse::<portcullis::webhooks::signature::SigningKey>().unwrap().public().unwrap();
    let service = Service::with(&[("PORTCULLIS_WEBHOOK_SOURCES", &SOURCES.replace("PUBLIC", &public.to_string()))]);
    let (modules, scripts) = (node(), Path::new("tests/interop"));
    // not ASCII, and with a blank that a parser would lose
    let body = "{\"type\": \"room.booked\",\"data\":{\"room\":\"Ωmega 7\"}}";
    for (source, key) in [("hr", SECRET), ("keyed", KEY)] {
        for peer in ["python", "node"] {
            let id = format!("msg_{source}_{peer}");
            let arguments = [key, &id, body];
            let headers = if peer == "python" {
                run(python("python").arg(scripts.join("sign_webhook.py")).args(arguments))
            } else {
                run(Command::new("node").arg(scripts.join("sign_webhook.mjs")).args(arguments).env("MODULES", &modules))
            };
            let answers = [body.replace("7", "8"), body.to_owned(), body.to_owned()].map(|body| deliver(&service, source, &headers, &body));
            assert_eq!(answers, ["401", "202", "200"], "{id}: {headers}");
        }
    }
}
