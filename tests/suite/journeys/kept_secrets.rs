//! Secrets come from where they are kept: the setting, a file, Vault (a stand-in of its HTTP API). The built binary starts with each, follows
//! what changes there, and says what keeps it from starting. AWS is in `tests/interop/secrets_manager.rs`.

use super::{
    the_binary::{fails, portcullis, refusal, wait_until},
    watched::Watched,
};
use crate::support::{
    deployed::{Deployed, PASSWORD},
    vault::{Role, SECRET, Vault},
};
use portcullis::{
    platform::clock::Clock,
    server::tls::{Identity, issue_once},
    settings::TlsFiles,
};
use serde_json::json;
use sqlx::ConnectOptions;
use std::{fs, path::Path, process::Output, sync::Arc, time::Duration};

fn role(vault: &Vault, namespace: &'static str, lease: Duration, longest: Duration) -> String {
    let secret = "7b1d3a60-94c2-4f0e-9a57-0c6f1d2e8b35".to_owned();
    let may_read = vec![SECRET.to_owned()];
    vault.inside().roles.push(Role { mount: "approle", id: "portcullis", secret: secret.clone(), namespace, lease, longest, may_read });
    secret
}

fn done(folder: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> String {
    let Output { status, stdout, stderr } = portcullis(folder).args(arguments).envs(settings.iter().copied()).output().unwrap();
    assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

#[tokio::test]
async fn every_command_works_with_secrets_from_each_place() {
    let d = Deployed::create().await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let providers = r#"[{"name":"corp","issuer":"https://id.example","client_id":"a","client_secret":"Zk3vN8rTq1"}]"#;
    let owner = d.t.owner.to_url_lossy().to_string();
    let data = json!({
        "database": d.url(PASSWORD), "owner": owner, "key": d.key(), "providers": providers, "number": 7, "nested": { "a": ["b", null, true, 1.5] },
    });

    // over TLS, of an authority that only the setting names, in a namespace
    let issued = issue_once("localhost", &Clock::system()).unwrap();
    let files = TlsFiles { certificate: write("certificate.pem", &issued.certificate).into(), key: write("key.pem", &issued.key).into() };
    let vault = Vault::proving(Some(Identity::from_files(&files).unwrap()));
    vault.put("teams/accounts", SECRET, data.clone());
    let secret_id = role(&vault, "teams/accounts", Duration::from_secs(3600), Duration::ZERO);
    let secret_id = write("secret-id", &format!("{secret_id}\n"));
    let authority = write("authority.pem", &issued.authority);

    let by_token = Vault::start();
    by_token.put("", SECRET, json!({}));
    by_token.put("", SECRET, data);
    let token = by_token.token(&[SECRET]);

    let by_value =
        [("DATABASE_URL", d.url(PASSWORD)), ("PORTCULLIS_KEY_ENCRYPTION_KEY", d.key()), ("PORTCULLIS_IDENTITY_PROVIDERS", providers.into())];
    let by_file = [
        ("DATABASE_URL_FILE", write("database-url", &d.url(PASSWORD))),
        ("PORTCULLIS_KEY_ENCRYPTION_KEY_FILE", write("key-file", &format!("{}\n", d.key()))),
        ("PORTCULLIS_IDENTITY_PROVIDERS_FILE", write("providers", providers)),
    ];
    let in_vault = [
        ("DATABASE_URL", "vault:secret/portcullis#database".to_owned()),
        ("PORTCULLIS_KEY_ENCRYPTION_KEY", "vault:secret/portcullis#key".into()),
        ("PORTCULLIS_IDENTITY_PROVIDERS", "vault:secret/portcullis#providers".into()),
    ];
    let with_token = [("PORTCULLIS_VAULT_URL", by_token.url.clone()), ("PORTCULLIS_VAULT_TOKEN", token.clone())];
    let as_role = [
        ("PORTCULLIS_VAULT_URL", vault.url.clone()),
        ("PORTCULLIS_VAULT_NAMESPACE", "teams/accounts".into()),
        ("PORTCULLIS_VAULT_CA_FILE", authority),
        ("PORTCULLIS_VAULT_ROLE_ID", "portcullis".into()),
        ("PORTCULLIS_VAULT_SECRET_ID_FILE", secret_id),
    ];
    for (at, place) in
        [by_value.to_vec(), by_file.to_vec(), [&in_vault[..], &with_token].concat(), [&in_vault[..], &as_role].concat()].into_iter().enumerate()
    {
        let settings: Vec<(&str, &str)> = place.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let own = tempfile::tempdir().unwrap();
        let mut service = Watched::start(own.path(), &settings);
        wait_until("it is ready", || service.is_ready());
        assert!(done(own.path(), &["keys", "list"], &settings).contains("token_signing"), "{place:?}");
        assert!(done(own.path(), &["audit", "verify"], &settings).contains("nothing was altered"), "{place:?}");
        let address = format!("root-{at}@example.org");
        assert!(done(own.path(), &["admin", "create", "--email", &address], &settings).contains("is an administrator"), "{place:?}");
        let told = refusal(portcullis(own.path()).arg("check").envs(settings.iter().copied()));
        assert!(told.contains("PORTCULLIS_MAIL_FROM must be set") && !told.contains("cannot be read:"), "{told}");
        assert!(!told.contains("falls short secrets.key-encryption-key"), "{told}");
        assert!(service.end(), "{place:?}");
    }
    let owner = [
        ("PORTCULLIS_OWNER_DATABASE_URL", "vault:secret/portcullis#owner"),
        ("PORTCULLIS_VAULT_URL", &*by_token.url),
        ("PORTCULLIS_VAULT_TOKEN", &*token),
    ];
    assert_eq!(done(folder.path(), &["migrate"], &owner), "the database is up to date\n");

    assert_eq!(vault.asked(SECRET), 5, "three secrets of one document are one question, for each start");
    // the service's own is ended by its lease; the four commands gave their tokens back
    assert_eq!((vault.asked("auth/token/revoke-self"), vault.inside().tokens.len()), (4, 1));
    d.end().await;
}

#[tokio::test]
async fn a_changed_database_password_is_taken_up_without_a_restart() {
    let mut d = Deployed::create().await;
    let (folder, vault) = (tempfile::tempdir().unwrap(), Vault::start());
    let token = vault.token(&[SECRET]);
    let put = |url: String, dsn: &str| vault.put("", SECRET, json!({ "database": url, "dsn": dsn }));
    put(d.url(PASSWORD), "http://key@127.0.0.1/1");
    let key = folder.path().join("key");
    fs::write(&key, d.key()).unwrap();
    let mut service = Watched::start(
        folder.path(),
        &[
            ("DATABASE_URL", "vault:secret/portcullis#database"),
            ("PORTCULLIS_SENTRY_DSN", "vault:secret/portcullis#dsn"),
            ("PORTCULLIS_KEY_ENCRYPTION_KEY_FILE", key.to_str().unwrap()),
            ("PORTCULLIS_VAULT_URL", &vault.url),
            ("PORTCULLIS_VAULT_TOKEN", &token),
            ("PORTCULLIS_SECRETS_REFRESH_SECONDS", "1"),
        ],
    );
    wait_until("it is ready", || service.is_ready());
    let metric = |text: &str| service.operators("/metrics").contains(text);

    // the manager first: the new password is not the database's yet
    let fresh = "Qx5nWc8tLr2YvKd7Hb3m";
    put(d.url(fresh), "http://key@127.0.0.1/1");
    wait_until("it has tried", || service.said().contains("does not work yet"));
    d.password_is(fresh).await;
    wait_until("it is taken up", || service.said().contains("the changed password of the database is in use"));
    wait_until("nothing waits", || metric("portcullis_secrets_waiting_for_restart 0"));
    d.cut().await;
    wait_until("the feed is back, too", || metric("portcullis_feed_trusted 1") && service.is_ready());

    // another secret, and another user: both wait
    put(d.url(fresh).replace("service_", "other_"), "http://another@127.0.0.1/1");
    wait_until("both are told", || metric("portcullis_secrets_waiting_for_restart 2"));
    put(d.url(fresh), "http://key@127.0.0.1/1");
    wait_until("they are what they were", || metric("portcullis_secrets_waiting_for_restart 0"));

    // and while the manager is away, what was read before stays in use
    vault.inside().sealed = true;
    wait_until("it is told", || service.said().contains("what was read before stays in use"));
    assert!(service.is_ready());
    vault.inside().sealed = false;
    wait_until("it is back", || service.said().contains("secrets can be read again"));
    let said = service.said();
    assert_eq!(said.matches("it is taken up at the next start").count(), 2, "{said}");
    assert_eq!(said.matches("what was read before stays in use").count(), 1, "{said}");
    assert!(!said.contains(fresh) && !said.contains(PASSWORD) && !said.contains(&token), "{said}");
    assert!(service.end());
    d.end().await;
}

#[tokio::test]
async fn a_role_renews_its_token_and_logs_in_anew_when_it_is_lost() {
    let d = Deployed::create().await;
    let (folder, vault) = (tempfile::tempdir().unwrap(), Vault::start());
    vault.put("", SECRET, json!({ "database": d.url(PASSWORD), "key": d.key() }));
    let secret_id = role(&vault, "", Duration::from_secs(2), Duration::from_secs(6));
    let mut service = Watched::start(
        folder.path(),
        &[
            ("DATABASE_URL", "vault:secret/portcullis#database"),
            ("PORTCULLIS_KEY_ENCRYPTION_KEY", "vault:secret/portcullis#key"),
            ("PORTCULLIS_VAULT_URL", &vault.url),
            ("PORTCULLIS_VAULT_ROLE_ID", "portcullis"),
            ("PORTCULLIS_VAULT_SECRET_ID", &secret_id),
            ("PORTCULLIS_SECRETS_REFRESH_SECONDS", "1"),
        ],
    );
    let (logins, renewals) = (|| vault.asked("auth/approle/login"), || vault.asked("auth/token/renew-self"));
    wait_until("the token is renewed", || renewals() >= 2);
    assert_eq!(logins(), 1, "one login for as long as it can be renewed");
    wait_until("its longest life ends", || logins() == 2);

    let reads = || vault.asked(SECRET);
    let (before, known) = (logins(), reads());
    vault.inside().tokens.clear();
    wait_until("it logs in anew", || logins() > before && reads() > known + 2);
    assert!(!service.said().contains("WARN"), "nothing of it is a fault: {}", service.said());

    // a policy that lets it read no more: a new login tells that it is not the token, and leaves none behind
    let (before, ended) = (logins(), vault.asked("auth/token/revoke-self"));
    vault.forbid();
    wait_until("it tries anew", || logins() >= before + 3);
    wait_until("no token is left behind", || vault.asked("auth/token/revoke-self") >= ended + 3);
    // the role is taken away: told once, and nothing breaks
    vault.inside().roles.clear();
    vault.inside().tokens.clear();
    let before = logins();
    wait_until("it has tried again", || logins() >= before + 2);
    assert_eq!(service.said().matches("secrets could not be read again").count(), 1, "{}", service.said());
    assert!(service.is_ready());
    assert!(service.end());
    d.end().await;
}

fn refused(vault: &Vault, changed: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let token = vault.token(&[SECRET, "secret/data/other", "kv/data/gone"]);
    let mut command = portcullis(folder.path());
    command.envs([("PORTCULLIS_VAULT_URL", &*vault.url), ("PORTCULLIS_VAULT_TOKEN", &*token), ("PORTCULLIS_SECRETS_WAIT_SECONDS", "0")]);
    let told = fails(command.envs(changed.iter().copied()));
    assert!(!told.contains(&token) && !told.contains("hvs."), "{told}");
    told
}

#[test]
fn everything_that_cannot_be_read_is_told_at_once() {
    let vault = Vault::start();
    vault.put("", SECRET, json!({ "number": 7, "nested": {}, "null": null, "empty": "  ", "long": "x".repeat(70_000), "key": "canary-key" }));
    vault.put("", "secret/data/other", json!({ "a": "canary" }));
    vault.put("", "kv/data/gone", json!({ "a": "canary" }));
    vault.delete("kv/data/gone", false);
    let told = refused(
        &vault,
        &[
            ("DATABASE_URL", "vault:secret/portcullis#url"),
            ("PORTCULLIS_OWNER_DATABASE_URL", "vault:secret/portcullis#number"),
            ("REDIS_URL", "vault:kv/gone#a"),
            ("PORTCULLIS_KEY_ENCRYPTION_KEY", "vault:secret/portcullis#key"),
            ("PORTCULLIS_IDENTITY_PROVIDERS", "vault:secret/portcullis#long"),
            ("PORTCULLIS_SMTP_URL", "vault:secret/strangers#a"),
            ("PORTCULLIS_SENTRY_DSN_FILE", "/nowhere/dsn"),
            ("PORTCULLIS_WORKERS", "0"),
        ],
    );
    for part in [
        "DATABASE_URL cannot be read: the secret has no such field",
        "PORTCULLIS_OWNER_DATABASE_URL cannot be read: the field is no text",
        "REDIS_URL cannot be read: the secret in Vault has no current version: it was deleted",
        "PORTCULLIS_KEY_ENCRYPTION_KEY must be 32 random bytes",
        "PORTCULLIS_IDENTITY_PROVIDERS cannot be read: the secret has more than 64 KiB",
        "PORTCULLIS_SMTP_URL cannot be read: the secret in Vault is refused (403)",
        "PORTCULLIS_SENTRY_DSN_FILE cannot be read: /nowhere/dsn: No such file",
        "PORTCULLIS_WORKERS must be",
    ] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    assert!(!told.contains("canary"), "{told}");

    for (field, expected) in [("nested", "is no text"), ("null", "is no text"), ("empty", "is empty")] {
        let told = refused(&vault, &[("DATABASE_URL", &format!("vault:secret/portcullis#{field}"))]);
        assert!(told.contains(expected), "{field}: {told}");
    }
    let told = refused(&vault, &[("REDIS_URL", "vault:secret/portcullis#a"), ("REDIS_URL_FILE", "/nowhere")]);
    assert!(told.contains("REDIS_URL and REDIS_URL_FILE are both set"), "{told}");
    let told = refused(&vault, &[("REDIS_URL", "vault:hunter2canary")]);
    assert!(told.contains("REDIS_URL must be vault:mount/path#field; a secret that begins like this") && !told.contains("canary"), "{told}");
    vault.delete("kv/data/gone", true);
    assert!(refused(&vault, &[("REDIS_URL", "vault:kv/gone#a")]).contains("was deleted"));

    // what opens Vault
    let reference = ("REDIS_URL", "vault:secret/portcullis#a");
    for (changed, expected) in [
        (&[("PORTCULLIS_VAULT_TOKEN", "hvs.wrongcanary")][..], "REDIS_URL cannot be read: Vault refuses the token (403)"),
        (&[("PORTCULLIS_VAULT_TOKEN", "canary\u{7f}")], "has characters that no token has"),
        (&[("PORTCULLIS_VAULT_TOKEN", "vault:secret/portcullis#a")], "PORTCULLIS_VAULT_TOKEN is kept in a manager, which is not asked for it"),
        (&[("PORTCULLIS_VAULT_TOKEN", "")], "PORTCULLIS_VAULT_URL needs a token"),
        (
            &[("PORTCULLIS_VAULT_ROLE_ID", "portcullis")],
            "PORTCULLIS_VAULT_TOKEN and PORTCULLIS_VAULT_ROLE_ID or PORTCULLIS_VAULT_SECRET_ID are both set",
        ),
        (
            &[("PORTCULLIS_VAULT_TOKEN", ""), ("PORTCULLIS_VAULT_ROLE_ID", "x")],
            "PORTCULLIS_VAULT_ROLE_ID and PORTCULLIS_VAULT_SECRET_ID belong together",
        ),
        (
            &[("PORTCULLIS_VAULT_TOKEN", ""), ("PORTCULLIS_VAULT_ROLE_ID", "x"), ("PORTCULLIS_VAULT_SECRET_ID", "canary-secret-id")],
            "REDIS_URL cannot be read: Vault refuses the login",
        ),
        (&[("PORTCULLIS_VAULT_URL", "")], "PORTCULLIS_VAULT_URL must be set beside what opens Vault"),
        (&[("PORTCULLIS_VAULT_URL", ""), ("PORTCULLIS_VAULT_TOKEN", "")], "REDIS_URL cannot be read: Vault is not set up: PORTCULLIS_VAULT_URL, and"),
        (&[("PORTCULLIS_VAULT_URL", "http://vault.example")], "PORTCULLIS_VAULT_URL is no https:// address"),
        (&[("PORTCULLIS_VAULT_URL", "https://vault.example/v1")], "PORTCULLIS_VAULT_URL must have no path"),
        (&[("PORTCULLIS_VAULT_CA_FILE", "/nowhere/ca.pem")], "PORTCULLIS_VAULT_CA_FILE cannot be read: /nowhere/ca.pem"),
        (&[("PORTCULLIS_VAULT_CA_FILE", "README.md")], "PORTCULLIS_VAULT_CA_FILE cannot be read"),
        (&[("PORTCULLIS_VAULT_APPROLE_MOUNT", "../sys")], "PORTCULLIS_VAULT_APPROLE_MOUNT must be"),
        (&[("PORTCULLIS_SECRETS_REFRESH_SECONDS", "0")], "PORTCULLIS_SECRETS_REFRESH_SECONDS must be a whole number from 1 to 86400, or off"),
        (&[("PORTCULLIS_SECRETS_WAIT_SECONDS", "601")], "PORTCULLIS_SECRETS_WAIT_SECONDS must be a whole number from 0 to 600"),
    ] {
        let told = refused(&vault, &[&[reference][..], changed].concat());
        assert!(told.contains(expected) && !told.contains("canary"), "{changed:?}: {expected} is not in\n{told}");
    }
    #[cfg(not(feature = "aws"))]
    assert!(
        refused(&vault, &[("REDIS_URL", "aws:portcullis#a")])
            .contains("REDIS_URL cannot be read: this binary was built without the cargo feature `aws`")
    );
}

/// A start whose Vault does not answer yet, then what it is told.
fn waiting(vault: &Arc<Vault>, seconds: &str) -> (tempfile::TempDir, Watched) {
    let folder = tempfile::tempdir().unwrap();
    let token = vault.token(&[SECRET]);
    let settings = [
        ("REDIS_URL", "vault:secret/portcullis#redis"),
        ("PORTCULLIS_VAULT_URL", &*vault.url),
        ("PORTCULLIS_VAULT_TOKEN", &*token),
        ("PORTCULLIS_SECRETS_WAIT_SECONDS", seconds),
    ];
    let service = Watched::spawn(folder.path(), &settings);
    (folder, service)
}

#[test]
fn a_start_waits_for_a_manager_that_is_away_and_then_says_why_it_gave_up() {
    let vault = Vault::start();
    vault.inside().sealed = true;
    let (_folder, mut service) = waiting(&vault, "1");
    wait_until("it gives up", || service.has_ended());
    let said = service.said();
    assert!(said.contains("portcullis: waiting for secrets: Vault is sealed or in maintenance (503)"), "{said}");
    assert!(said.contains("REDIS_URL cannot be read: Vault is sealed or in maintenance (503)"), "{said}");
    assert!(vault.asked("auth/token/lookup-self") > 1);

    // unsealed in time: the settings are read, and the next mistake is told
    let (_folder, mut service) = waiting(&vault, "60");
    wait_until("it waits", || service.said().contains("waiting for secrets"));
    vault.put("", SECRET, json!({ "redis": "memcached://canary" }));
    vault.inside().sealed = false;
    wait_until("it ends", || service.has_ended());
    let said = service.said();
    assert!(said.contains("REDIS_URL") && !said.contains("cannot be read") && !said.contains("canary"), "{said}");

    let told = refused(&vault, &[("REDIS_URL", "vault:secret/portcullis#a"), ("PORTCULLIS_VAULT_URL", "http://127.0.0.1:1")]);
    assert!(told.contains("Vault cannot be reached") && told.contains("Connection refused"), "{told}");
}
