//! Settings: mistakes are all told at once and without secrets, production invents nothing, and what is written about settings in
//! the README and in `.env.example` is what the service reads.

use portcullis::settings::{Settings, list::SETTINGS};
use std::collections::HashMap;

fn read(values: &[(&str, &str)]) -> Result<Settings, String> {
    let values: HashMap<String, String> = values.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Settings::from_map(values).map_err(|error| error.to_string())
}

#[test]
fn nothing_needs_to_be_set_in_development() {
    read(&[]).unwrap();
}

#[test]
fn every_mistake_is_told_at_once_and_no_secret_with_it() {
    let told = read(&[
        ("PORTCULLIS_HTTPS_LISTEN", "8443"),
        ("PORTCULLIS_WORKER", "2"),
        ("PORTCULLIS_BODY_LIMIT", "1"),
        ("PORTCULLIS_PUBLIC_URL", "http://example.org"),
        ("PORTCULLIS_CORS_ORIGINS", "https://a.example, *"),
        ("PORTCULLIS_TRUSTED_PROXIES", "everybody"),
        ("PORTCULLIS_OPERATOR_HOSTS", "metrics.example.org, metrics:9464, *.example.org, a..example.org"),
        ("PORTCULLIS_HEADER_FIELDS", "96"),
        ("PORTCULLIS_MAIL_FROM", "nobody"),
        ("PORTCULLIS_ARGON2_MEMORY_KIB", "1024"),
        ("PORTCULLIS_SESSION_IDLE_MINUTES", "90"),
        ("PORTCULLIS_SESSION_ABSOLUTE_HOURS", "1"),
        ("PORTCULLIS_KEY_ENCRYPTION_KEY", "canary-key"),
        ("PORTCULLIS_SMTP_URL", "smtp://user:canary-password@mail.example"),
        ("DATABASE_URL", "postgres://user:canary-password@host:no-port/database"),
        ("PORTCULLIS_TLS_KEY_FILE", "key.pem"),
        ("PORTCULLIS_OWNER_DATABASE_URL_FILE", "/nonexistent/owner"),
        ("PORTCULLIS_LOG_FORMAT", "xml"),
        ("PORTCULLIS_OPERATOR_MAIL", "nobody"),
        ("PORTCULLIS_LETTER_QUOTA", "2"),
        ("PORTCULLIS_LETTER_DAY_QUOTA", "6"),
    ])
    .err()
    .unwrap();
    for name in [
        "PORTCULLIS_HTTPS_LISTEN must",
        "PORTCULLIS_WORKER is no setting (did you mean PORTCULLIS_WORKERS?)",
        "PORTCULLIS_BODY_LIMIT must be a whole number from 1024",
        "PORTCULLIS_PUBLIC_URL is no https",
        "PORTCULLIS_CORS_ORIGINS: *",
        "PORTCULLIS_TRUSTED_PROXIES: everybody",
        "PORTCULLIS_OPERATOR_HOSTS: metrics:9464",
        "PORTCULLIS_OPERATOR_HOSTS: *.example.org",
        "PORTCULLIS_OPERATOR_HOSTS: a..example.org",
        "PORTCULLIS_HEADER_FIELDS must be a whole number from 16 to 90",
        "PORTCULLIS_MAIL_FROM must",
        "PORTCULLIS_ARGON2_MEMORY_KIB and",
        "PORTCULLIS_SESSION_IDLE_MINUTES is longer",
        "PORTCULLIS_KEY_ENCRYPTION_KEY must",
        "PORTCULLIS_SMTP_URL must",
        "DATABASE_URL is no",
        "PORTCULLIS_TLS_KEY_FILE belong",
        "PORTCULLIS_OWNER_DATABASE_URL_FILE cannot be read",
        "PORTCULLIS_LOG_FORMAT must",
        "PORTCULLIS_OPERATOR_MAIL must be an address or",
        "PORTCULLIS_LETTER_ADDRESS_QUOTA must be less than PORTCULLIS_LETTER_QUOTA",
        "PORTCULLIS_LETTER_ADDRESS_DAY_QUOTA must be less than PORTCULLIS_LETTER_DAY_QUOTA",
    ] {
        assert!(told.contains(name), "{name} is not in\n{told}");
    }
    assert!(!told.contains("canary"), "{told}");
}

#[test]
fn production_names_everything_that_it_needs() {
    let told = read(&[("PORTCULLIS_ENV", "production")]).err().unwrap();
    for name in [
        "DATABASE_URL",
        "PORTCULLIS_KEY_ENCRYPTION_KEY",
        "PORTCULLIS_MAIL_FROM",
        "PORTCULLIS_PUBLIC_URL",
        "PORTCULLIS_SMTP_URL",
        "PORTCULLIS_TLS_CERTIFICATE_FILE",
        "PORTCULLIS_TLS_KEY_FILE",
    ] {
        assert!(told.contains(&format!("{name} must be set in production")), "{name}: {told}");
    }
}

#[test]
fn a_placeholder_is_no_key() {
    for key in [
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY=",
    ] {
        let told = read(&[("PORTCULLIS_KEY_ENCRYPTION_KEY", key)]).err().unwrap();
        assert!(told.contains("is not random"), "{key}: {told}");
    }
}

#[test]
fn a_secret_comes_from_its_value_or_from_a_file_and_not_from_both() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, "d2V0IGdyYXZlbCwgdGluIG1vb24hICBtYWRlIHVwIDQ=\n").unwrap();
    let file = path.to_str().unwrap();
    let settings = read(&[("PORTCULLIS_KEY_ENCRYPTION_KEY_FILE", file)]).unwrap();
    assert_eq!(settings.key_encryption_key.unwrap().expose(), b"wet gravel, tin moon!  made up 4");
    let told = read(&[("PORTCULLIS_KEY_ENCRYPTION_KEY_FILE", file), ("PORTCULLIS_KEY_ENCRYPTION_KEY", "x")]).err().unwrap();
    assert!(told.contains("are both set"), "{told}");
}

#[test]
fn the_readme_and_the_example_list_every_setting_as_it_is() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let example = std::fs::read_to_string(".env.example").unwrap();
    for setting in SETTINGS {
        let default = setting.default.map_or("–".to_owned(), |default| if default.is_empty() { "none".into() } else { format!("`{default}`") });
        let row = format!("| `{}` | {default} | {} |", setting.name, setting.about);
        assert!(readme.contains(&row), "missing in README.md:\n{row}");
        let default = setting.default.unwrap_or_default();
        let quote = if default.contains(char::is_whitespace) { "\"" } else { "" };
        let line = format!("#{}={quote}{default}{quote}", setting.name);
        assert!(example.lines().any(|known| known == line), "missing in .env.example:\n{line}");
    }
    let mentioned =
        readme.lines().filter(|line| ["| `PORTCULLIS_", "| `DATABASE_URL", "| `REDIS_URL"].iter().any(|start| line.starts_with(start))).count();
    assert_eq!(mentioned, SETTINGS.len(), "the README lists a setting that is none");
}

#[test]
fn the_example_can_be_used_as_it_is() {
    let example = std::fs::read_to_string(".env.example").unwrap();
    let is_setting = |line: &&str| line.starts_with('#') && !line.starts_with("# ");
    let uncommented: String = example.lines().filter(is_setting).map(|line| format!("{}\n", &line[1..])).collect();
    let values: HashMap<String, String> = dotenvy::from_read_iter(uncommented.as_bytes()).map(Result::unwrap).collect();
    assert_eq!(values.len(), SETTINGS.len());
    Settings::from_map(values).map(drop).map_err(|error| error.to_string()).unwrap();
}

#[test]
fn links_follow_developments_port() {
    assert_eq!(read(&[("PORTCULLIS_HTTPS_LISTEN", "127.0.0.1:9443")]).unwrap().public_url.as_str(), "https://localhost:9443");
    let told = [("PORTCULLIS_HTTPS_LISTEN", "127.0.0.1:9443"), ("PORTCULLIS_PUBLIC_URL", "https://a.example")];
    assert_eq!(read(&told).unwrap().public_url.as_str(), "https://a.example");
}
