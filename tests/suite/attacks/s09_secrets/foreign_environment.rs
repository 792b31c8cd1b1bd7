//! A mistake or a thief brings development's secrets or database into production, or production's into development.

use crate::{
    contract::production::production,
    journeys::the_binary::{fails, portcullis, refusal},
    support::TestDatabase,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use portcullis::platform::{
    crypto,
    db::{self, ForeignError},
};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};
use std::fs;

#[tokio::test]
async fn a_database_serves_the_environment_that_used_it_first() {
    for (own, other) in [("development", "production"), ("production", "development")] {
        let t = TestDatabase::create().await;
        let now = t.clock.now();
        db::claim(&t.pool, own, now).await.unwrap();
        db::claim(&t.pool, own, now).await.unwrap();
        assert!(matches!(db::claim(&t.pool, other, now).await, Err(ForeignError::Foreign(owner)) if owner == own));
        for sql in ["UPDATE deployment SET environment = 'production'", "DELETE FROM deployment", "TRUNCATE deployment"] {
            let error = t.pool.execute(sql).await.unwrap_err();
            assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501", "{sql}");
        }

        let folder = tempfile::tempdir().unwrap();
        let database = t.feed.to_url_lossy().to_string();
        let told = |arguments: &[&str]| {
            let mut command = portcullis(folder.path());
            command.args(arguments).envs(production(&[("PORTCULLIS_ENV", other)])).env("DATABASE_URL", &database);
            command.env("PORTCULLIS_KEY_ENCRYPTION_KEY", STANDARD.encode(t.key_encryption_key.expose()));
            refusal(&mut command)
        };
        let reason = format!("it belongs to {own}, which used it first");
        for arguments in [&[][..], &["keys", "list"], &["audit", "verify"], &["admin", "create", "--email", "root@example.org"]] {
            assert!(told(arguments).contains(&reason), "{arguments:?}: {}", told(arguments));
        }
        // it judges as production, and marks nothing
        assert_eq!(told(&["check"]).contains(&reason), own == "development");

        // nor is it migrated: a schema that is behind stays so
        let mut owner = PgConnection::connect_with(&t.owner).await.unwrap();
        owner.execute("DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)").await.unwrap();
        let commands: &[&[&str]] = if other == "development" { &[&["migrate"], &["keys", "list"]] } else { &[&["migrate"]] };
        for arguments in commands {
            assert!(told(arguments).contains(&reason), "{arguments:?}: {}", told(arguments));
        }

        // a copy that is meant to be another's: its owner says so
        PgConnection::connect_with(&t.owner).await.unwrap().execute("DELETE FROM deployment").await.unwrap();
        db::claim(&t.pool, other, now).await.unwrap();
    }
}

#[test]
fn the_key_that_development_made_does_not_open_production() {
    let folder = tempfile::tempdir().unwrap();
    let key = STANDARD.encode(crypto::random::<32>());
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/key-encryption-key"), format!("{key}\n")).unwrap();
    let told = |key: &str, data: &str| {
        let values = production(&[("PORTCULLIS_KEY_ENCRYPTION_KEY", key), ("PORTCULLIS_DATA_DIR", data), ("PORTCULLIS_WORKERS", "0")]);
        fails(portcullis(folder.path()).envs(values))
    };
    let elsewhere = folder.path().join("data");
    for data in ["", elsewhere.to_str().unwrap()] {
        let told = told(&key, data);
        assert!(told.contains("PORTCULLIS_KEY_ENCRYPTION_KEY is the key that development made") && told.contains("PORTCULLIS_WORKERS"), "{told}");
        assert!(!told.contains(&key), "{told}");
    }
    assert!(!told(&STANDARD.encode(crypto::random::<32>()), "").contains("development made"));
}
