//! Somebody reads the log, the process list, what other processes inherit, or the message of a start that failed, with everything turned on
//! that can be turned on: none of it shows a secret, wherever it came from.

use crate::{
    journeys::{
        the_binary::{portcullis, refusal, wait_until},
        watched::Watched,
    },
    support::{
        deployed::Deployed,
        vault::{SECRET, Vault},
    },
};
use clap::CommandFactory;
use portcullis::{cli::Cli, settings::list::SETTINGS};
use serde_json::json;
use std::{fs, process::Command};

/// Everything that could be told of a password in an address: itself, and as the address writes it.
const CANARY: &str = "Kanarienvogel-7Qx2Wv9-Tz";

#[tokio::test]
async fn no_secret_is_in_the_output_or_the_command_line_wherever_it_came_from() {
    let mut d = Deployed::create().await;
    d.password_is(CANARY).await;
    let (folder, vault) = (tempfile::tempdir().unwrap(), Vault::start());
    let token = vault.token(&[SECRET]);
    let provider = format!("[{{\"name\":\"corp\",\"issuer\":\"https://id.example\",\"client_id\":\"a\",\"client_secret\":\"{CANARY}-provider\"}}]");
    let smtp = format!("smtp://accounts:{CANARY}-mail@127.0.0.1:1?tls=required");
    vault.put("", SECRET, json!({ "database": d.url(CANARY), "key": d.key(), "smtp": smtp, "providers": provider }));
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let places = [
        vec![
            ("DATABASE_URL", d.url(CANARY)),
            ("PORTCULLIS_KEY_ENCRYPTION_KEY", d.key()),
            ("PORTCULLIS_SMTP_URL", smtp.clone()),
            ("PORTCULLIS_IDENTITY_PROVIDERS", provider.clone()),
        ],
        vec![
            ("DATABASE_URL_FILE", file("database", &d.url(CANARY))),
            ("PORTCULLIS_KEY_ENCRYPTION_KEY_FILE", file("key", &d.key())),
            ("PORTCULLIS_SMTP_URL_FILE", file("smtp", &smtp)),
            ("PORTCULLIS_IDENTITY_PROVIDERS_FILE", file("providers", &provider)),
        ],
        vec![
            ("DATABASE_URL", "vault:secret/portcullis#database".to_owned()),
            ("PORTCULLIS_KEY_ENCRYPTION_KEY", "vault:secret/portcullis#key".to_owned()),
            ("PORTCULLIS_SMTP_URL", "vault:secret/portcullis#smtp".to_owned()),
            ("PORTCULLIS_IDENTITY_PROVIDERS", "vault:secret/portcullis#providers".to_owned()),
            ("PORTCULLIS_VAULT_URL", vault.url.clone()),
            ("PORTCULLIS_VAULT_TOKEN", token.clone()),
        ],
    ];
    for place in places {
        let own = tempfile::tempdir().unwrap();
        let mut settings: Vec<(&str, &str)> = place.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let redis = format!("redis://:{CANARY}-redis@127.0.0.1:1");
        settings.extend([("PORTCULLIS_LOG", "trace"), ("PORTCULLIS_SECRETS_REFRESH_SECONDS", "1"), ("REDIS_URL", &redis)]);
        let mut service = Watched::start(own.path(), &settings);
        wait_until("it is ready", || service.is_ready());
        // a letter that no server takes, and a round of everything
        let (port, authority) = (service.address("https"), own.path().join("data/tls/ca.pem"));
        let call = ["-sS", "--cacert", authority.to_str().unwrap(), "--json", "{\"email\":\"ada@example.org\"}"];
        let url = format!("https://localhost:{}/v1/auth/register", port.rsplit(':').next().unwrap());
        assert!(Command::new("curl").args(call).arg(url).output().unwrap().status.success());
        wait_until("the letter was tried", || service.operators("/metrics").contains("portcullis_letters_total{outcome=\"failed\"}"));
        wait_until("secrets were read again", || {
            place.iter().all(|(name, _)| !name.ends_with("FILE") && *name != "PORTCULLIS_VAULT_URL")
                || service.operators("/metrics").contains("portcullis_secret_reads_total{outcome=\"ok\"}")
        });
        let shown = [service.command_line(), service.operators("/metrics")].concat();
        assert!(service.end());
        let shown = shown + &service.said();
        assert!(shown.lines().count() > 100, "trace was on");
        // the log's filter is the last line: our own records must not need it
        let saved = shown.lines().find(|line| line.contains("[redacted]") && line.contains("\"target\":\"portcullis"));
        assert_eq!(saved, None);
        for secret in [CANARY, &d.key(), &token] {
            assert!(!shown.contains(secret), "{:?}", shown.lines().find(|line| line.contains(secret)));
        }
    }
    d.end().await;
}

#[test]
fn no_refusal_shows_what_it_refuses() {
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let folder = tempfile::tempdir().unwrap();
    let wrong = [
        ("DATABASE_URL", format!("postgres://service:{CANARY}@host:no-port/p")),
        ("PORTCULLIS_OWNER_DATABASE_URL", format!("mysql://owner:{CANARY}@host/p")),
        ("REDIS_URL", format!("redis://:{CANARY}@host:port")),
        ("PORTCULLIS_KEY_ENCRYPTION_KEY", key.to_owned()),
        ("PORTCULLIS_PREVIOUS_KEY_ENCRYPTION_KEY", format!("{CANARY}-previous")),
        ("PORTCULLIS_WEBHOOK_SOURCES", format!("[{{\"name\":\"shop\",\"secrets\":[\"{CANARY}\"]")),
        ("PORTCULLIS_SMTP_URL", format!("ftp://accounts:{CANARY}@mail")),
        ("PORTCULLIS_SENTRY_DSN", format!("http://{CANARY}@sentry.example/1")),
        ("PORTCULLIS_IDENTITY_PROVIDERS", format!("[{{\"name\":\"corp\",\"client_secret\":\"{CANARY}\"")),
        ("PORTCULLIS_VAULT_TOKEN", format!("{CANARY}\u{7f}")),
        ("PORTCULLIS_VAULT_SECRET_ID", CANARY.to_owned()),
    ];
    let secrets: Vec<&str> = SETTINGS.iter().filter(|setting| setting.secret).map(|setting| setting.name).collect();
    assert_eq!(wrong.iter().map(|(name, _)| *name).collect::<std::collections::BTreeSet<_>>(), secrets.iter().copied().collect(), "every secret");
    for environment in ["development", "production"] {
        for arguments in
            [&[][..], &["check"], &["migrate"], &["keys", "list"], &["audit", "verify"], &["admin", "create", "--email", "a@example.org"]]
        {
            let told = refusal(portcullis(folder.path()).args(arguments).env("PORTCULLIS_ENV", environment).envs(wrong.clone()));
            assert!(!told.contains(CANARY) && !told.contains(key), "{arguments:?}: {told}");
            for name in ["DATABASE_URL is no", "PORTCULLIS_KEY_ENCRYPTION_KEY is not random", "PORTCULLIS_VAULT_TOKEN and"] {
                assert!(told.contains(name), "{arguments:?}: {name} is not in\n{told}");
            }
            // one at a time, with whatever each library would say of it
            for (name, value) in &wrong {
                let told = refusal(
                    portcullis(folder.path()).args(arguments).env("PORTCULLIS_ENV", environment).env("PORTCULLIS_WORKERS", "0").env(name, value),
                );
                assert!(!told.contains(CANARY), "{arguments:?} {name}: {told}");
            }
        }
    }
    let away = format!("postgres://service:{CANARY}@127.0.0.1:1/p");
    for arguments in [&[][..], &["check"], &["migrate"], &["keys", "list"]] {
        let told = refusal(portcullis(folder.path()).args(arguments).env("DATABASE_URL", &away));
        assert!(told.contains("Connection refused") && !told.contains(CANARY), "{told}");
    }
}

/// What the command line takes, everybody on the machine sees.
#[test]
fn no_argument_is_a_secret() {
    fn arguments(command: &clap::Command, found: &mut Vec<String>) {
        found.extend(command.get_arguments().map(|argument| format!("{} {}", command.get_name(), argument.get_id())));
        command.get_subcommands().for_each(|command| arguments(command, found));
    }
    let mut found = Vec::new();
    arguments(&Cli::command(), &mut found);
    assert!(found.len() > 5);
    for argument in found {
        let words = ["password", "secret", "token", "key", "url", "credential"];
        // where secrets are made; names of others' hosts
        let is_fine = argument.starts_with("secrets ") || !words.iter().any(|word| argument.to_lowercase().contains(word));
        assert!(is_fine, "{argument} looks like a secret");
    }
}

#[test]
fn no_child_inherits_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let key = "3q2+7wH1Jm0Yb8rN5xKfPzQvUoWc4TgLsAiEdRjXh9k=";
    let mut service = Watched::start(folder.path(), &[("PORTCULLIS_KEY_ENCRYPTION_KEY", key), ("PORTCULLIS_LOG", "debug")]);
    let mut children = 0;
    for process in fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path())) {
        let read = |name: &str| fs::read(process.join(name)).unwrap_or_default();
        let line = String::from_utf8_lossy(&read("cmdline")).into_owned();
        // the private Postgres and its watchdog name the folder; of other processes nothing is looked at
        if line.contains(folder.path().to_str().unwrap()) && !line.contains("portcullis\0") {
            children += 1;
            assert!(!String::from_utf8_lossy(&read("environ")).contains(key) && !line.contains(key), "{line}");
        }
    }
    assert!(children > 0);
    assert!(service.end());
}
