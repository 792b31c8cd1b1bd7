//! The map of practices (`docs/practices.toml`) names every practice of the guide, and only code and tests that exist.

use std::{collections::BTreeSet, fs, path::Path};

/// The guide's practices, by id.
const IDS: &[&str] = &[
    "1.abac",
    "1.jwt",
    "1.never-trust-client",
    "1.oauth-oidc",
    "1.object-check",
    "1.rbac",
    "1.route-guard",
    "1.session",
    "1.third-party",
    "2.argon2id",
    "2.cookie-flags",
    "2.encrypted-sessions",
    "2.jwt-claims",
    "2.jwt-signing",
    "2.no-plaintext",
    "2.password-policy",
    "2.refresh-cookie",
    "2.revocation",
    "2.session-expiry",
    "2.short-expiry",
    "2.unique-salt",
    "3.body",
    "3.descriptive-errors",
    "3.headers",
    "3.html-sanitize",
    "3.nosql-operator",
    "3.path",
    "3.query",
    "3.schema",
    "3.sql-injection",
    "3.xss-escape",
    "4.abuse",
    "4.alert-suspicious",
    "4.brute-force",
    "4.distributed",
    "4.dos",
    "4.edge",
    "4.fixed-window",
    "4.retry-after",
    "4.sensitive-routes",
    "4.sliding-window",
    "4.token-bucket",
    "5.automatic",
    "5.csp",
    "5.frame-options",
    "5.hsts",
    "5.nosniff",
    "5.permissions-policy",
    "5.referrer-policy",
    "6.allow-list",
    "6.allowed-headers",
    "6.credentials-only-if-needed",
    "6.no-wildcard",
    "7.auto-certificates",
    "7.ciphers",
    "7.http2",
    "7.redirect",
    "7.secure-cookies",
    "7.tls",
    "8.alerts",
    "8.duration",
    "8.envelope",
    "8.error-traces",
    "8.error-tracking",
    "8.internal-detail",
    "8.json-logs",
    "8.no-leak",
    "8.redaction",
    "8.request-metadata",
    "8.status",
    "9.env-or-manager",
    "9.ignore-and-scan",
    "9.least-privilege",
    "9.never-hardcode",
    "9.per-environment",
    "9.rotate",
    "10.deny-default",
    "10.layered",
    "10.mfa",
    "10.object-level",
    "10.policy-engine",
    "10.step-up",
    "11.audit",
    "11.https-only",
    "11.ip-allow-list",
    "11.replay",
    "11.signature",
    "12.audit",
    "12.lockfile",
    "12.maintained",
    "12.sandbox",
    "12.scan",
    "12.update-bot",
    "13.bearer-exempt",
    "13.middleware",
    "13.rotate",
    "13.samesite",
    "13.token",
    "14.idle-timeout",
    "14.invalidate-on-password-change",
    "14.invalidate-on-sign-out",
    "14.rotation",
    "14.secure-cookie",
    "15.automated",
    "15.broken-access-control",
    "15.broken-authentication",
    "15.excessive-data",
    "15.injection",
    "15.scanners",
    "16.checklist",
];

fn texts(entry: &toml::Table, name: &str) -> Vec<String> {
    entry.get(name).and_then(toml::Value::as_array).into_iter().flatten().map(|value| value.as_str().unwrap().to_owned()).collect()
}

/// Whether `file` or `file::item` exists.
fn exists(place: &str) -> bool {
    let (file, item) = place.split_once("::").map_or((place, None), |(file, item)| (file, Some(item)));
    let Ok(text) = fs::read_to_string(file) else { return Path::new(file).exists() && item.is_none() };
    item.is_none_or(|item| {
        ["fn", "struct", "enum", "trait", "const"].iter().any(|kind| {
            let declaration = format!("{kind} {item}");
            text.match_indices(&declaration).any(|(at, found)| !text[at + found.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
    })
}

#[test]
fn the_map_names_every_practice_and_only_what_exists() {
    let map: toml::Table = fs::read_to_string("docs/practices.toml").unwrap().parse().unwrap();
    let known: BTreeSet<&str> = IDS.iter().copied().collect();
    let listed: BTreeSet<&str> = map.keys().map(String::as_str).collect();
    assert_eq!(listed, known);
    let shown = map.values().filter(|entry| entry["state"].as_str() == Some("shown")).count();
    let claim = format!("{shown} of the guide's {} practices shown", known.len());
    assert!(fs::read_to_string("README.md").unwrap().replace('\n', " ").contains(&claim), "the README does not say: {claim}");
    for (id, entry) in &map {
        let entry = entry.as_table().unwrap();
        let text = |name: &str| entry.get(name).and_then(toml::Value::as_str).unwrap_or_default();
        assert!(["attack", "check", "config"].contains(&text("kind")), "{id}: kind {:?}", text("kind"));
        let (code, tests) = (texts(entry, "code"), texts(entry, "tests"));
        for place in code.iter().chain(&tests) {
            assert!(exists(place), "{id} names {place}, which does not exist");
        }
        match text("state") {
            "planned" => assert!(code.is_empty() && tests.is_empty(), "{id} is planned and has code"),
            "not run here" => assert!(!text("reason").is_empty(), "{id} does not say why it is not run"),
            "shown" => {
                assert!(!code.is_empty() && !text("about").is_empty(), "{id} is shown nowhere");
                let attacks = ["tests/suite/attacks/", "tests/suite/contract/", "tests/browser/"];
                let is_attacked = tests.iter().any(|test| attacks.iter().any(|folder| test.starts_with(folder)));
                assert!(text("kind") != "attack" || is_attacked, "{id} has no attack test");
            }
            other => panic!("{id}: state {other:?}"),
        }
    }
}
