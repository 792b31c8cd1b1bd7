//! Whoever tells endpoints is killed again and again, at any moment: every event arrives all the same, at least once, and in the log of
//! deliveries as well. Practice 11.signature; at-least-once delivery.

use crate::support::{
    TestDatabase,
    receiver::{Received, Receiver},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use portcullis::{
    audit::{self, Entry, Event, Origin},
    platform::crypto,
    webhooks::endpoint::{
        Endpoint, Keys,
        store::{self, SealedKeys},
    },
};
use secrecy::ExposeSecret;
use sqlx::ConnectOptions;
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;

const EVENTS: usize = 1000;

/// A node; its child process is gone when this is.
struct Node(Child);

impl Node {
    fn start(database: &TestDatabase, receiver: &Receiver, folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.current_dir(folder).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        for name in ["PATH", "HOME", "TMPDIR"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        for name in ["HTTPS", "HTTP"] {
            command.env(format!("PORTCULLIS_{name}_LISTEN"), "127.0.0.1:0");
        }
        command.env("PORTCULLIS_OPERATOR_LISTEN", "off").env("PORTCULLIS_LOG_FORMAT", "json");
        command.env("DATABASE_URL", database.feed.to_url_lossy().to_string());
        command.env("PORTCULLIS_KEY_ENCRYPTION_KEY", STANDARD.encode(database.key_encryption_key.expose()));
        let mut child = command.envs(receiver.settings()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("\"message\":\"serving\"")), "it did not start");
        std::thread::spawn(move || lines.for_each(drop));
        Self(child)
    }
}

impl Drop for Node {
    /// As `kill -9` does.
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// An endpoint that is told of every account.
async fn subscribe(database: &TestDatabase, receiver: &Receiver) -> (Uuid, String) {
    let (now, keys) = (database.clock.now(), Keys::generate());
    let (id, keys_id, mut connection) = (crypto::uuid_v7(now), crypto::uuid_v7(now), database.pool.acquire().await.unwrap());
    let public_key = keys.signing.public().unwrap().to_string();
    let endpoint = Endpoint {
        id,
        name: "Warehouse".into(),
        url: receiver.url(),
        events: Some(vec![Event::AccountCreated.name().into()]),
        created_at: now,
        created_by: None,
        disabled_at: None,
        disabled_reason: None,
        failing_since: None,
        public_key: public_key.clone(),
    };
    assert!(store::insert(&mut connection, &endpoint, 1).await.unwrap());
    let (key_version, sealed) = keys.seal(&database.keyring, keys_id).unwrap();
    store::set_keys(&mut connection, id, &SealedKeys { id: keys_id, sealed, key_version }, &public_key, (now, now)).await.unwrap();
    (id, keys.secret.text().expose_secret().to_owned())
}

/// So many deeds; every tenth is taken back, and nobody must hear of it.
async fn happen(database: &TestDatabase, count: usize) {
    let origin = Origin::service();
    for n in 0..count + count / 10 {
        let mut transaction = database.pool.begin().await.unwrap();
        let entry = Entry::new(Event::AccountCreated, &origin, None, None);
        audit::record(&mut transaction, &database.keyring, database.clock.now(), entry).await.unwrap();
        if n % 11 == 10 { transaction.rollback().await.unwrap() } else { transaction.commit().await.unwrap() }
    }
}

async fn missing(database: &TestDatabase) -> i64 {
    let waiting = "SELECT (SELECT count(*) FROM webhook_queue) + (SELECT count(*) FROM webhook_deliveries WHERE state = 'waiting')";
    sqlx::query_scalar(waiting).fetch_one(&database.pool).await.unwrap()
}

#[actix_web::test]
async fn whoever_is_killed_while_sending_loses_no_message() {
    let _alone = crate::alone().await;
    let (database, receiver, folder) = (TestDatabase::create().await, Receiver::start(&["127.0.0.1"]), tempfile::tempdir().unwrap());
    let (_, secret) = subscribe(&database, &receiver).await;
    let happening = {
        let database = database.clone();
        tokio::spawn(async move { happen(&database, EVENTS).await })
    };
    let begun = Instant::now();
    let mut kills = 0;
    let arrived = |receiver: &Arc<Receiver>| receiver.received().len();
    while kills < 8 {
        let node = Node::start(&database, &receiver, folder.path());
        let before = arrived(&receiver);
        // in the middle of something, wherever that is
        let [draw] = crypto::random::<1>();
        while arrived(&receiver) < before + 10 + usize::from(draw) / 4 && missing(&database).await + i64::from(!happening.is_finished()) > 0 {
            assert!(begun.elapsed() < Duration::from_secs(120), "nothing arrives");
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        drop(node);
        kills += 1;
        // what the dead one held is given back in time: this is that time
        sqlx::query("UPDATE webhook_deliveries SET leased_until = now() WHERE leased_until IS NOT NULL").execute(&database.pool).await.unwrap();
    }
    happening.await.unwrap();
    let cut_off: i64 = sqlx::query_scalar("SELECT count(*) FROM webhook_deliveries WHERE attempts > 1").fetch_one(&database.pool).await.unwrap();
    let _last = Node::start(&database, &receiver, folder.path());
    while missing(&database).await > 0 {
        assert!(begun.elapsed() < Duration::from_secs(180), "{} are missing", missing(&database).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let received = receiver.received();
    let sequences: BTreeSet<i64> = received.iter().map(Received::sequence).collect();
    assert_eq!(sequences, (1..=i64::try_from(EVENTS).unwrap()).collect(), "each number once at least, and no other");
    let told: BTreeSet<String> = received.iter().map(|one| one.json()["data"]["event_id"].as_str().unwrap().to_owned()).collect();
    let recorded: Vec<String> =
        sqlx::query_scalar("SELECT id::text FROM audit_events WHERE event = 'account.created'").fetch_all(&database.pool).await.unwrap();
    assert_eq!(told, recorded.into_iter().collect());
    assert!(received.iter().all(|one| one.is_signed_by(&secret)));
    eprintln!("{kills} kills, {} messages for {EVENTS} events, {cut_off} tried again, {:?}", received.len(), begun.elapsed());
}
