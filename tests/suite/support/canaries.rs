//! Every secret and every address that the suite sends or receives is written down, so that `tests/suite_canaries.rs` can look for it in
//! what the service logged and stored.

use reqwest::{Request, header::HeaderMap};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs::File,
    io::Write,
    path::Path,
    sync::{Mutex, OnceLock},
};

static FILE: OnceLock<Mutex<File>> = OnceLock::new();

/// Shorter ones are wrong on purpose ("x"), and found everywhere.
const SHORTEST: usize = 12;

fn note(kind: &str, value: &str) {
    let file = FILE.get_or_init(|| Mutex::new(File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("canaries.jsonl")).unwrap()));
    writeln!(file.lock().unwrap(), "{}", serde_json::json!([kind, value])).unwrap();
}

fn secret(value: &str) {
    // a key's id stands in its row, and its secret nowhere
    if let Some(part) = value.strip_prefix("pc_").and_then(|key| key.splitn(3, '_').nth(2)) {
        note_secret(part);
    }
    note_secret(value);
}

fn note_secret(value: &str) {
    // what a thief read in the database and sends is none: it stands there, being worth nothing
    let is_digest = value.len() == 64 && value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    // payloads of injections stand in every field, this one too; and what is one character again and again is no secret
    let is_payload = value.contains(['\'', '\0', '$']) || value.chars().collect::<BTreeSet<_>>().len() < 5;
    if value.len() >= SHORTEST && !is_digest && !is_payload {
        note("secret", value);
    }
}

pub fn code(value: &str) {
    if value.len() == 8 && value.bytes().all(|byte| byte.is_ascii_digit()) {
        note("code", value);
    }
}

pub fn token(value: &str) {
    secret(value);
}

fn cookies(text: &str) {
    for (_, value) in text.split(';').filter_map(|pair| pair.trim().split_once('=')) {
        secret(value);
    }
}

/// What a request carries.
pub fn sent(request: &Request) {
    let header = |name: &str| request.headers().get_all(name).iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>();
    header("cookie").into_iter().for_each(cookies);
    header("authorization").into_iter().filter_map(|value| value.split_once(' ')).for_each(|(_, value)| secret(value));
    header("x-csrf-token").into_iter().for_each(secret);
    if let Some(body) = request.body().and_then(reqwest::Body::as_bytes) {
        json(body);
    }
}

/// What an answer carries.
pub fn received(headers: &HeaderMap, body: &str) {
    for set in headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok()) {
        cookies(set.split(';').next().unwrap_or_default());
    }
    json(body.as_bytes());
}

fn json(body: &[u8]) {
    // hostile bodies are no JSON
    if let Ok(value) = serde_json::from_slice(body) {
        walk("", &value);
    }
}

fn walk(name: &str, value: &Value) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| walk(name, value)),
        Value::Array(items) => items.iter().for_each(|item| walk(name, item)),
        Value::String(text) => match name {
            "email" if text.contains('@') => note("email", text),
            // a provider's, not one that people type
            "code" if text.len() > 40 => secret(text),
            "code" => code(text),
            // shown once
            "key" if text.starts_with("pc_") => secret(text),
            "password" | "current_password" | "token" | "mfa_token" | "secret" | "recovery_code" | "recovery_codes" | "access_token"
            | "refresh_token" | "csrf_token" | "state" => secret(text),
            _ => {}
        },
        _ => {}
    }
}
