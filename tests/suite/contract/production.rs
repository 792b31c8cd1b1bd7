//! Production refuses what is unsafe, all of it at once, and `portcullis check` says the same beforehand.

use crate::{
    journeys::the_binary::{portcullis, refusal},
    support::TestDatabase,
};
use portcullis::settings::Settings;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use std::{collections::HashMap, fs, path::Path};

const KEY: &str = "3q2+7wH1Jm0Yb8rN5xKfPzQvUoWc4TgLsAiEdRjXh9k=";

/// Settings that nothing speaks against, but for those that a test changes.
pub fn production(changed: &[(&str, &str)]) -> HashMap<String, String> {
    let fine = [
        ("PORTCULLIS_ENV", "production"),
        ("DATABASE_URL", "postgres://service:Vb7kQ2mZx9TfLw4RnJ8c@db.internal/portcullis?sslmode=verify-full"),
        ("PORTCULLIS_KEY_ENCRYPTION_KEY", KEY),
        ("PORTCULLIS_MAIL_FROM", "Accounts <accounts@example.com>"),
        ("PORTCULLIS_PUBLIC_URL", "https://accounts.example.com"),
        ("PORTCULLIS_SMTP_URL", "smtps://accounts:Hc5rWq8nYt3LkVd6Bz@mail.internal"),
        ("PORTCULLIS_TLS_CERTIFICATE_FILE", "/etc/portcullis/certificate.pem"),
        ("PORTCULLIS_TLS_KEY_FILE", "/etc/portcullis/key.pem"),
    ];
    fine.iter().chain(changed).filter(|(_, value)| !value.is_empty()).map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn problems(changed: &[(&str, &str)]) -> String {
    let mut values = production(changed);
    for (name, value) in changed {
        if value.is_empty() {
            values.remove(*name);
        }
    }
    Settings::from_map(values).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn good_settings_are_good() {
    assert_eq!(problems(&[]), "");
    let without_passwords =
        [("DATABASE_URL", "postgres://service@%2Fvar%2Frun%2Fpostgresql/portcullis"), ("PORTCULLIS_SMTP_URL", "smtps://mail.internal")];
    assert_eq!(problems(&without_passwords), "", "somebody else's means of proof");
    let told = problems(&[&without_passwords[..], &[("PGPASSWORD", "changeme")]].concat());
    assert!(told.contains("DATABASE_URL has no password in it, and PGPASSWORD would stand in") && !told.contains("changeme"), "{told}");
    assert_eq!(problems(&[&without_passwords[..], &[("PGPASSWORD_FILE", "/etc/hosts")]].concat()), "", "which nobody reads");
    assert_eq!(problems(&[("PGPASSWORD", "changeme")]), "", "it is not looked at where the address has one");
}

#[test]
fn unsafe_secrets_are_refused_and_not_shown() {
    for (name, value, expected) in [
        ("DATABASE_URL", "postgres://service:password@db/p", "DATABASE_URL looks like a placeholder"),
        ("DATABASE_URL", "postgres://service:Change-Me-Please-42x@db/p", "DATABASE_URL looks like a placeholder"),
        ("DATABASE_URL", "postgres://service:abababababababababab@db/p", "DATABASE_URL looks like a placeholder"),
        ("DATABASE_URL", "postgres://service:Vb7kQ2mZx9T@db/p", "DATABASE_URL has a secret of fewer than 16 characters"),
        ("DATABASE_URL", "postgres://service:%50%61ssword%2Dof%2Dmine%2D1@db/p", "DATABASE_URL looks like a placeholder"),
        ("DATABASE_URL", "postgres://service:Hc5rWq8nYt3LkVd6Bz@db/p", "has the same secret as DATABASE_URL"),
        ("PORTCULLIS_SMTP_URL", "smtps://accounts:postgres@mail", "PORTCULLIS_SMTP_URL looks like a placeholder"),
        ("PORTCULLIS_KEY_ENCRYPTION_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "PORTCULLIS_KEY_ENCRYPTION_KEY is not random"),
        ("PORTCULLIS_KEY_ENCRYPTION_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "PORTCULLIS_KEY_ENCRYPTION_KEY is not random"),
        ("PORTCULLIS_KEY_ENCRYPTION_KEY", "d2V0IGdyYXZlbCwgdGluIG1vb24hICBtYWRlIHVwIDQ=", "PORTCULLIS_KEY_ENCRYPTION_KEY is not random"),
        ("PORTCULLIS_VAULT_TOKEN", "hvs.Wq7xN2b", "PORTCULLIS_VAULT_TOKEN has a secret of fewer than 16"),
        ("PORTCULLIS_VAULT_SECRET_ID", KEY, "has the same secret as PORTCULLIS_VAULT_SECRET_ID"),
        ("PORTCULLIS_SMTP_URL", "smtps://accounts:https:%2F%2Flocalhost:8443@mail", "PORTCULLIS_SMTP_URL stands in .env.example"),
        ("DATABASE_URL", "postgres://service:Vb7kQ2mZx9TfLw4RnJ8c@db/p?password=changeme", "DATABASE_URL looks like a placeholder"),
        ("DATABASE_URL", "postgres://service:Vb7kQ2mZx9TfLw4RnJ8c@db/p?sslmode=require", "without TLS that knows the server"),
        ("DATABASE_URL", "postgres://service:Vb7kQ2mZx9TfLw4RnJ8c@db/p", "without TLS that knows the server"),
        ("REDIS_URL", "redis://:Wm4tYp8sKz2QvXc6Ln@cache.internal", "REDIS_URL goes over a network without TLS"),
        ("REDIS_URL", "rediss://:Wm4tYp8sKz2@cache.internal", "REDIS_URL has a secret of fewer than 16 characters"),
        ("REDIS_URL", "rediss://:Wm4tYp8sKz2QvXc6Ln@cache.internal/#insecure", "REDIS_URL must have no fragment"),
        ("PORTCULLIS_WEBHOOK_SOURCES", r#"[{"name":"a","scheme":"github","secrets":["my-password-is-long"]}]"#, "SOURCES looks like a placeholder"),
        (
            "PORTCULLIS_WEBHOOK_SOURCES",
            r#"[{"name":"a","scheme":"standard","secrets":["whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"]}]"#,
            "SOURCES looks like a placeholder",
        ),
        (
            "PORTCULLIS_WEBHOOK_SOURCES",
            r#"[{"name":"a","scheme":"github","secrets":["Jm4-qR7-vW2-xZ9-kT5"]},{"name":"b","scheme":"stripe","secrets":["Jm4-qR7-vW2-xZ9-kT5"]}]"#,
            "has the same secret as PORTCULLIS_WEBHOOK_SOURCES",
        ),
        ("PORTCULLIS_OWNER_DATABASE_URL", "postgres://owner:Vb7kQ2mZx9TfLw4RnJ8c@db/p", "has the same secret as"),
        (
            "PORTCULLIS_OWNER_DATABASE_URL",
            "postgres://owner:Jm4-qR7-vW2-xZ9-kT5@db/p?sslmode=require",
            "OWNER_DATABASE_URL goes over a network without",
        ),
        ("PORTCULLIS_PREVIOUS_KEY_ENCRYPTION_KEY", " 3q2+7wH1Jm0Yb8rN5xKfPzQvUoWc4TgLsAiEdRjXh9k=\n", "has the same secret as"),
    ] {
        let told = problems(&[(name, value)]);
        assert!(told.contains(expected), "{value}: {told}");
        assert!(!told.contains(value.rsplit_once('@').map_or(value, |(start, _)| start.rsplit(':').next().unwrap())), "{told}");
    }
}

#[test]
fn a_migration_crosses_no_network_in_clear_text_either() {
    for name in ["DATABASE_URL", "PORTCULLIS_OWNER_DATABASE_URL"] {
        let of = |url: &str| {
            let values = [("PORTCULLIS_ENV", "production"), (name, url)].map(|(name, value)| (name.to_owned(), value.to_owned()));
            Settings::for_migration(values.into_iter().collect()).err().map(|error| error.to_string()).unwrap_or_default()
        };
        let told = of("postgres://owner:Jm4-qR7-vW2-xZ9-kT5@db.internal/p?sslmode=require");
        assert!(told.contains("without TLS that knows the server") && !told.contains("Jm4"), "{name}: {told}");
        assert_eq!(of("postgres://owner:Jm4-qR7-vW2-xZ9-kT5@db.internal/p?sslmode=verify-full"), "", "{name}");
    }
}

#[test]
fn clear_text_is_taken_from_a_named_proxy_only() {
    let proxy = [("PORTCULLIS_TLS", "proxy"), ("PORTCULLIS_TLS_CERTIFICATE_FILE", ""), ("PORTCULLIS_TLS_KEY_FILE", "")];
    assert!(problems(&proxy).contains("PORTCULLIS_TRUSTED_PROXIES must name the proxy"), "{}", problems(&proxy));
    let with = |networks| problems(&[&proxy[..], &[("PORTCULLIS_TRUSTED_PROXIES", networks)]].concat());
    assert_eq!(with("10.0.0.0/8"), "");
    for wide in ["0.0.0.0/0", "10.0.0.0/8, ::/0", "0.0.0.0/1, 128.0.0.0/1", "0.0.0.0/1,128.0.0.0/2,192.0.0.0/3", "::ffff:0.0.0.0/96", "2000::/3"] {
        assert!(with(wide).contains("trusts half the world"), "{wide}");
    }
    assert_eq!(with("10.0.0.0/8, fd00::/16, ::ffff:10.0.0.0/104"), "");
    assert!(problems(&[("PORTCULLIS_TLS", "proxy"), ("PORTCULLIS_TRUSTED_PROXIES", "10.0.0.0/8")]).contains("are of no use"));
    let acme = [("PORTCULLIS_TLS", "acme"), ("PORTCULLIS_TLS_CERTIFICATE_FILE", ""), ("PORTCULLIS_TLS_KEY_FILE", "")];
    assert_eq!(problems(&acme), "", "a certificate that is ordered needs no file");
    assert!(problems(&[("PORTCULLIS_TLS", "off")]).contains("PORTCULLIS_TLS must be on, acme or proxy"));
}

fn url(options: &PgConnectOptions) -> String {
    options.to_url_lossy().to_string()
}

#[tokio::test]
async fn check_and_a_start_in_production_list_everything_at_once() {
    let t = TestDatabase::create().await;
    let folder = tempfile::tempdir().unwrap();
    let run = |database: &str, arguments: &[&str], changed: &[(&str, &str)]| {
        let mut command = portcullis(folder.path());
        command.args(arguments).envs(production(changed)).env("DATABASE_URL", database);
        // without certificates, which there are none of
        command.env("PORTCULLIS_TLS", "proxy").env("PORTCULLIS_TRUSTED_PROXIES", "10.0.0.0/8");
        command.env_remove("PORTCULLIS_TLS_CERTIFICATE_FILE").env_remove("PORTCULLIS_TLS_KEY_FILE");
        command
    };
    let database = t.feed.clone();
    let name = database.get_database().unwrap().to_owned();

    // a superuser's login, the owner's, a schema that lacks its last migration, and a wrong setting
    let superuser = url(&t.superuser.clone().database(&name));
    let owner = url(&t.owner);
    let behind = PgConnection::connect_with(&t.superuser.clone().database(&name)).await.unwrap();
    let mut behind = behind;
    behind.execute("DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)").await.unwrap();
    for arguments in [&["check"][..], &[]] {
        let told = refusal(&mut run(&superuser, arguments, &[("PORTCULLIS_WORKERS", "0"), ("PORTCULLIS_SMTP_URL", "smtps://accounts:secret@mail")]));
        for part in [
            "DATABASE_URL: its login is a superuser",
            "DATABASE_URL: the schema is behind",
            "PORTCULLIS_WORKERS must be",
            "PORTCULLIS_SMTP_URL looks like a placeholder",
        ] {
            assert!(told.contains(part), "{arguments:?}: {part} is not in\n{told}");
        }
    }
    let told = refusal(&mut run(&owner, &["check"], &[]));
    assert!(told.contains("its login owns the tables or their functions") && told.contains("its login may create tables or schemas"), "{told}");
    let told = refusal(&mut run("postgres://service:Vb7kQ2mZx9TfLw4RnJ8c@127.0.0.1:1/p", &["check"], &[]));
    assert!(told.contains("DATABASE_URL: cannot be reached") && !told.contains("Vb7k"), "{told}");

    // a database as it should be, with the login that `migrate` makes
    let t = TestDatabase::create().await;
    let login = format!("service_{}", t.feed.get_database().unwrap());
    let service = url(&t.feed.clone().username(&login).password("Vb7k&Q2m+Z%x9=TfLw4RnJ8c").options([("role", "none")]));
    let service = service.split("&options").next().unwrap().to_owned();
    sqlx::query("DELETE FROM keyring").execute(&mut PgConnection::connect_with(&t.owner).await.unwrap()).await.unwrap();
    let migrated = portcullis(Path::new("."))
        .current_dir(folder.path())
        .arg("migrate")
        .env("DATABASE_URL", &service)
        .env("PORTCULLIS_OWNER_DATABASE_URL", url(&t.superuser.clone().database(t.feed.get_database().unwrap())))
        .output()
        .unwrap();
    let said = String::from_utf8(migrated.stdout).unwrap();
    assert!(migrated.status.success() && said.contains(&format!("made the login {login}")), "{said}{}", String::from_utf8_lossy(&migrated.stderr));
    let checked = run(&service, &["check"], &[("PORTCULLIS_ENV", "development"), ("PORTCULLIS_WAIVED", "authorization")]).output().unwrap();
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success() && said.contains("Nothing speaks against production"), "{said}{}", String::from_utf8_lossy(&checked.stderr));
    let mut superuser = PgConnection::connect_with(&t.superuser.clone().database(t.feed.get_database().unwrap())).await.unwrap();
    for (grant, expected) in [
        (format!("ALTER ROLE {login} CREATEROLE"), "its login may create roles"),
        (format!("GRANT pg_read_all_data TO {login}"), "its login is a member of pg_read_all_data"),
        (format!("ALTER ROLE {login} NOINHERIT"), "its login is a member of pg_read_all_data"),
        (format!("GRANT DELETE ON audit_events TO {login}"), "its login has grants of its own"),
        (format!("GRANT pg_monitor TO {login} WITH ADMIN OPTION"), "its login may give roles to others"),
        (format!("CREATE SCHEMA theirs; GRANT CREATE ON SCHEMA theirs TO {login}"), "its login may create tables or schemas"),
        ("GRANT TRUNCATE ON audit_events TO portcullis_runtime".to_owned(), "the role portcullis_runtime may change audit events"),
        (
            "REVOKE TRUNCATE ON audit_events FROM portcullis_runtime; GRANT UPDATE ON audit_heads TO portcullis_runtime".to_owned(),
            "the role portcullis_runtime may change audit events",
        ),
        ("GRANT SELECT ON keyring TO PUBLIC".to_owned(), "has grants that everybody has"),
    ] {
        superuser.execute(AssertSqlSafe(grant)).await.unwrap();
        let told = refusal(&mut run(&service, &["check"], &[("PORTCULLIS_OWNER_DATABASE_URL", "postgres://owner@localhost/p")]));
        assert!(told.contains(expected) && told.contains("PORTCULLIS_OWNER_DATABASE_URL is for `portcullis migrate` alone"), "{expected}: {told}");
    }
    superuser.execute(AssertSqlSafe(format!("DROP OWNED BY {login}"))).await.unwrap();
    superuser.execute(AssertSqlSafe(format!("DROP ROLE {login}"))).await.unwrap();
}

#[tokio::test]
async fn check_looks_into_certificates_and_keys() {
    let t = TestDatabase::create().await;
    let folder = tempfile::tempdir().unwrap();
    let mut command = portcullis(folder.path());
    command.arg("check").envs(production(&[("PORTCULLIS_TLS_CERTIFICATE_FILE", "/nowhere/certificate.pem")])).env("DATABASE_URL", url(&t.feed));
    let told = refusal(&mut command);
    assert!(told.contains("cannot read certificates from /nowhere/certificate.pem"), "{told}");
    assert!(told.contains("PORTCULLIS_KEY_ENCRYPTION_KEY: the key-encryption key does not open key"), "{told}");
}

#[tokio::test]
async fn policies_that_do_not_hold_keep_the_service_from_starting() {
    let t = TestDatabase::create().await;
    let (folder, policies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let run = |arguments: &[&str], environment: &str| {
        let mut command = portcullis(folder.path());
        command.args(arguments).envs(production(&[("PORTCULLIS_ENV", environment), ("PORTCULLIS_POLICIES", policies.path().to_str().unwrap())]));
        command.env("DATABASE_URL", url(&t.feed));
        refusal(&mut command)
    };
    let everywhere = |part: &str| {
        for told in [run(&["check"], "production"), run(&[], "production"), run(&[], "development")] {
            assert!(told.contains(part), "{part} is not in\n{told}");
        }
    };
    everywhere("holds no policy");
    fs::write(policies.path().join("own.cedar"), "@id(\"own\")\npermit (principal, action, resource) when { resource.ownr == principal };").unwrap();
    everywhere("ownr");
    fs::write(policies.path().join("own.cedar"), "@id(\"own\")\npermit (principal, action, resource) when { resource.owner == principal };").unwrap();
    let case = r#"[{"name": "a stranger reads", "principal": {"name": "eve"}, "action": "read", "resource": {"owner": "ada", "classification": 0}, "expected": "allow", "by": ["own"]}]"#;
    fs::write(policies.path().join("cases.json"), case).unwrap();
    assert!(run(&["check"], "production").contains("a stranger reads: came out as deny by {}"), "{}", run(&["check"], "production"));
}
