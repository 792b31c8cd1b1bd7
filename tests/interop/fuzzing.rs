//! schemathesis calls every operation of the API document as nobody, as a member and as an administrator, with what the document allows
//! and with what it does not: no 5xx, no answer, header, media type or shape that is not in the document. How it judges is in
//! `schemathesis.toml`, who it is in `fuzz_auth.py`.

use crate::service::{EMAIL, PASSWORD, ROOMY, Service, python};
use serde_json::Value;
use std::{collections::BTreeSet, path::Path};

/// Inputs that are made up for each operation, and stories. A number and no time: another machine tries the same.
const EXAMPLES: &str = "12";

/// Operations that answer the fuzzer with success as an administrator, at the least.
const ACCEPTED: usize = 35;

#[test]
fn a_fuzzer_finds_nothing_that_the_document_does_not_say() {
    let service = Service::with(&ROOMY);
    service.member();
    let administrator = service.administrator();
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("openapi.json");
    let text = String::from_utf8(service.curl("/openapi.json").output().unwrap().stdout).unwrap();
    std::fs::write(&document, &text).unwrap();
    let paths: Value = serde_json::from_str::<Value>(&text).unwrap()["paths"].clone();
    let operations: usize = paths.as_object().unwrap().values().map(|item| item.as_object().unwrap().len()).sum();

    for (who, email, password) in [("nobody", "", ""), ("member", EMAIL, PASSWORD), ("administrator", "root@example.org", &administrator)] {
        let report = folder.path().join(format!("{who}.json"));
        let mut fuzzer = python("schemathesis");
        fuzzer.current_dir(folder.path()).arg("--config-file").arg(here("schemathesis.toml")).arg("run").arg(&document);
        fuzzer.args(["--url", &service.url, "--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--seed", "1"]);
        fuzzer.args(["--max-examples", EXAMPLES, "--continue-on-failure", "--tls-verify"]).arg(service.authority());
        fuzzer.args(["--report", "json", "--report-json-path"]).arg(&report);
        // it reads the account's address and would close the account that it signs in to
        let left_out = if who == "nobody" { 0 } else { 1 };
        if left_out > 0 {
            fuzzer.args(["--exclude-path", "/v1/me/close"]);
        }
        fuzzer.env("PYTHONPATH", here("")).env("SCHEMATHESIS_HOOKS", "fuzz_auth").env("PORTCULLIS_FUZZ_AS", who);
        fuzzer.env("PORTCULLIS_FUZZ_URL", &service.url).env("PORTCULLIS_FUZZ_CA", service.authority());
        fuzzer.env("PORTCULLIS_FUZZ_EMAIL", email).env("PORTCULLIS_FUZZ_PASSWORD", password);
        let output = fuzzer.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "as {who}: {said}{}", String::from_utf8_lossy(&output.stderr));

        let report: Value = serde_json::from_str(&std::fs::read_to_string(&report).unwrap()).unwrap();
        assert_eq!(report["operations"]["tested"], operations - left_out, "as {who}: {said}");
        assert!(report["phases"].as_object().unwrap().values().all(|phase| phase["status"] == "success"), "as {who}: {}", report["phases"]);
        if who == "administrator" {
            let accepted = accepted(&report);
            assert!(accepted.len() >= ACCEPTED, "only {accepted:?}");
        }
    }
}

/// Operations that took what the fuzzer sent at least once.
fn accepted(report: &Value) -> BTreeSet<&str> {
    let took = |phases: &Value| phases.as_object().unwrap().values().any(|phase| phase["accepted"].as_u64() > Some(0));
    report["valid_rates"].as_object().unwrap().iter().filter(|(_, phases)| took(phases)).map(|(name, _)| name.as_str()).collect()
}

fn here(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(file)
}
