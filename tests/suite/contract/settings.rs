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
        "d2V0IGdyYXZlbCwgdGluIG1vb24hICBtYWRlIHVwIDQ=",
    ] {
        let told = read(&[("PORTCULLIS_KEY_ENCRYPTION_KEY", key)]).err().unwrap();
        assert!(told.contains("is not random"), "{key}: {told}");
    }
}

#[test]
fn a_secret_comes_from_its_value_or_from_a_file_and_not_from_both() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, "3q2+7wH1Jm0Yb8rN5xKfPzQvUoWc4TgLsAiEdRjXh9k=\n").unwrap();
    let file = path.to_str().unwrap();
    let settings = read(&[("PORTCULLIS_KEY_ENCRYPTION_KEY_FILE", file)]).unwrap();
    assert_eq!(settings.key_encryption_key.unwrap().expose()[..4], [0xde, 0xad, 0xbe, 0xef]);
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

const ISSUER: &str = r#""issuer":"https://id.example","client_id":"a","client_secret":"canary-secret""#;

#[test]
fn providers_and_issuers_are_read_and_their_mistakes_told_without_their_secrets() {
    let fine = format!(
        r#"[{{"name":"corp",{ISSUER},"trust_email":true}},
            {{"name":"google","preset":"google","client_id":"b","client_secret":"c"}},
            {{"name":"github","preset":"github","client_id":"d","client_secret":"e"}}]"#
    );
    let issuers = r#"[{"issuer":"https://id.example","audience":"x","provision":true}]"#;
    let settings = read(&[
        ("PORTCULLIS_IDENTITY_PROVIDERS", &fine),
        ("PORTCULLIS_TOKEN_ISSUERS", issuers),
        ("PORTCULLIS_CORS_ORIGINS", "https://app.example"),
        ("PORTCULLIS_OAUTH_CALLBACK_URL", "https://app.example/back"),
    ])
    .unwrap();
    assert_eq!((settings.federated.providers.len(), settings.federated.issuers.len()), (3, 1));
    assert_eq!(settings.federated.callback(&settings.public_url).unwrap().as_str(), "https://app.example/back");
    assert_eq!(read(&[]).map(|none| none.federated.callback(&none.public_url).unwrap().to_string()).unwrap(), "https://localhost:8443/go/oauth");

    for (providers, reason) in [
        ("{}".to_owned(), "is not the JSON array"),
        ("[".to_owned(), "at line 1, column 1"),
        (format!(r#"[{{"name":"corp",{ISSUER},"canary":1}}]"#), "is not the JSON array"),
        (format!(r#"[{{"name":"Corp",{ISSUER}}}]"#), "a name at entry 1 that is not 1 to 30 of a-z"),
        (format!(r#"[{{"name":"",{ISSUER}}}]"#), "a name at entry 1"),
        (format!(r#"[{{"name":"a",{ISSUER}}},{{"name":"a","preset":"google","client_id":"b","client_secret":"c"}}]"#), "has a or its issuer twice"),
        (format!(r#"[{{"name":"a",{ISSUER}}},{{"name":"b",{ISSUER}}}]"#), "has b or its issuer twice"),
        (r#"[{"name":"a","client_id":"b","client_secret":"canary"}]"#.to_owned(), "needs an issuer or a preset"),
        (r#"[{"name":"a","issuer":"https://id.example","client_id":"","client_secret":"canary"}]"#.to_owned(), "needs a client_id"),
        (format!(r#"[{{"name":"a","preset":"google",{ISSUER}}}]"#), "has a preset and an issuer"),
        (r#"[{"name":"a","issuer":"http://id.example","client_id":"b","client_secret":"canary"}]"#.to_owned(), "is no https:// address"),
        (format!(r#"[{{"name":"a",{ISSUER},"token_endpoint":"https://evil.example"}}]"#), "names endpoints"),
    ] {
        let told = read(&[("PORTCULLIS_IDENTITY_PROVIDERS", &providers)]).err().unwrap_or_default();
        assert!(told.contains(reason) && !told.contains("canary"), "{providers}: {told}");
    }
    for (issuers, reason) in [
        ("7", "is not the JSON array"),
        (r#"[{"issuer":"http://id.example","audience":"x"}]"#, "is no https:// address"),
        (r#"[{"issuer":"https://id.example","audience":""}]"#, "needs an audience"),
        (r#"[{"issuer":"https://id.example","audience":"a"}]"#, "which is no client_id"),
        (r#"[{"issuer":"https://localhost:8443","audience":"x"}]"#, "has this service itself"),
        (r#"[{"issuer":"https://i.example","audience":"x"},{"issuer":"https://i.example","audience":"y"}]"#, "twice"),
    ] {
        let told = read(&[("PORTCULLIS_TOKEN_ISSUERS", issuers), ("PORTCULLIS_IDENTITY_PROVIDERS", &format!(r#"[{{"name":"corp",{ISSUER}}}]"#))]);
        let told = told.err().unwrap_or_default();
        assert!(told.contains(reason), "{issuers}: {told}");
    }
    for callback in ["https://evil.example/go/oauth", "http://localhost:8443/go/oauth", "https://localhost:8443/go/oauth?a=b"] {
        let told = read(&[("PORTCULLIS_OAUTH_CALLBACK_URL", callback)]).err().unwrap_or_default();
        assert!(told.contains("PORTCULLIS_OAUTH_CALLBACK_URL"), "{callback}: {told}");
    }
}
