//! Metrics: the list, what the code records, what is documented, what `/metrics` shows, and what the alert rules ask for are the same.

use crate::journeys::the_binary::{Running, wait_until};
use portcullis::server::metrics::{Kind, METRICS};
use regex::Regex;
use std::{collections::BTreeSet, fs, path::Path};

fn listed() -> BTreeSet<String> {
    METRICS.iter().map(|metric| metric.name.to_owned()).collect()
}

fn recorded() -> BTreeSet<String> {
    fn read(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, text);
            } else if !path.ends_with("server/metrics.rs") {
                text.push_str(&fs::read_to_string(path).unwrap_or_default());
            }
        }
    }
    let mut text = String::new();
    read(Path::new("src"), &mut text);
    let call = Regex::new(r#"\b(?:counter|gauge|histogram)!\(\s*"([a-z0-9_]+)""#).unwrap();
    call.captures_iter(&text).map(|call| call[1].to_owned()).collect()
}

#[test]
fn what_is_recorded_is_on_the_list_and_the_other_way_round() {
    assert_eq!(recorded(), listed());
}

#[test]
fn the_document_lists_every_metric_as_it_is() {
    let document = fs::read_to_string("docs/monitoring.md").unwrap();
    for metric in METRICS {
        let kind = format!("{:?}", metric.kind).to_lowercase();
        let labels: Vec<String> = metric.labels.split_whitespace().map(|label| format!("`{label}`")).collect();
        let row = format!("| `{}` | {kind} | {} | {} |", metric.name, labels.join(", "), metric.about);
        assert!(document.contains(&row), "missing in docs/monitoring.md:\n{row}");
    }
    let rows = document.lines().filter(|line| line.starts_with("| `portcullis_") || line.starts_with("| `process_")).count();
    assert_eq!(rows, METRICS.len(), "docs/monitoring.md lists a metric that is none");
}

#[test]
fn alert_rules_ask_for_metrics_that_exist() {
    let name = Regex::new(r"\b(?:portcullis|process)_[a-z0-9_]+\b").unwrap();
    let rules = fs::read_to_string("ops/alerts.yml").unwrap();
    let expressions: String = rules.lines().filter(|line| !line.trim_start().starts_with('#')).map(|line| format!("{line}\n")).collect();
    let mut asked = 0;
    for found in name.find_iter(&expressions) {
        let is_listed = METRICS.iter().any(|metric| match metric.kind {
            Kind::Histogram => ["_bucket", "_sum", "_count"].iter().any(|part| found.as_str().strip_suffix(part) == Some(metric.name)),
            Kind::Counter | Kind::Gauge => found.as_str() == metric.name,
        });
        assert!(is_listed, "{} is asked for and not recorded", found.as_str());
        asked += 1;
    }
    assert!(asked > 10);
}

/// Whatever strangers send, they make no new series.
#[actix_web::test]
async fn a_running_service_shows_listed_metrics_with_listed_labels_only() {
    let folder = tempfile::tempdir().unwrap();
    let service = Running::start(folder.path());
    for call in [
        "/nothing/a",
        "/nothing/b?c=d",
        "/v1/me",
        "/v1/me --request BREW",
        "/v1/auth/login --json '{\"email\":\"a@example.org\",\"password\":\"x\"}'",
    ] {
        service.shell(&format!("curl -sS --cacert data/tls/ca.pem https://localhost:8443{call}"));
    }
    let serving = service.banner.lines().find(|line| line.contains("\"message\":\"serving\"")).unwrap();
    let serving: serde_json::Value = serde_json::from_str(serving).unwrap();
    let scrape = format!("curl -sS http://{}/metrics", serving["operators"].as_str().unwrap());
    let shown = || service.shell(&scrape);
    // measured by a job that comes round every few seconds
    wait_until("the gauges are there", || shown().contains("portcullis_letters_waiting"));
    let text = shown();

    let sample = Regex::new(r"^([a-z0-9_]+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? \S+$").unwrap();
    let label = Regex::new(r#"([a-z_]+)="([^"]*)""#).unwrap();
    let mut seen = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let found = sample.captures(line).unwrap_or_else(|| panic!("no sample: {line}"));
        let metric = METRICS.iter().find(|metric| metric.name == &found[1]).unwrap_or_else(|| panic!("not listed: {line}"));
        for label in label.captures_iter(found.get(2).map_or("", |labels| labels.as_str())) {
            let is_known = &label[1] == "le" && metric.kind == Kind::Histogram || metric.labels.split_whitespace().any(|known| known == &label[1]);
            assert!(is_known, "{line}");
        }
        seen.insert(metric.name);
    }
    for name in [
        "portcullis_request_seconds",
        "portcullis_password_hash_wait_seconds",
        "portcullis_database_connections",
        "portcullis_database_acquire_seconds",
        "portcullis_feed_age_seconds",
        "portcullis_letters_oldest_seconds",
        // from the start: a rule sees its first increase
        "portcullis_password_hash_rejected_total",
        "portcullis_build_info",
        "process_start_time_seconds",
    ] {
        assert!(seen.contains(name) && text.contains(&format!("# HELP {name} ")), "{name} is not in\n{text}");
    }
    assert!(text.contains("method=\"other\"") && text.contains("route=\"unmatched\"") && !text.contains("nothing/a"), "{text}");
    service.signal("-TERM");
    assert!(service.end());
}
