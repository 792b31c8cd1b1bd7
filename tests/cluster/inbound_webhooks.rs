//! The receiver of webhooks dies at any moment, again and again, while a sender goes on until it hears that each message is safe: each is
//! dealt with exactly once.

use crate::support::{
    TestDatabase,
    webhooks::{self, HR, event, signed_at},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::StreamExt;
use portcullis::platform::crypto;
use reqwest::{Certificate, Client};
use serde_json::json;
use sqlx::{ConnectOptions, PgPool};
use std::{
    cell::Cell,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const MESSAGES: usize = 1000;
const AT_ONCE: usize = 20;
const KILLS: usize = 6;
const DEADLINE: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// The built binary, on one port whenever it lives.
struct Receiver<'r> {
    folder: &'r Path,
    port: u16,
    database: &'r TestDatabase,
    process: Child,
}

impl<'r> Receiver<'r> {
    fn start(folder: &'r Path, port: u16, database: &'r TestDatabase) -> Self {
        Self { folder, port, database, process: Self::spawn(folder, port, database) }
    }

    fn spawn(folder: &Path, port: u16, database: &TestDatabase) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.env("PORTCULLIS_HTTPS_LISTEN", format!("127.0.0.1:{port}")).env("PORTCULLIS_HTTP_LISTEN", "off");
        command.env("PORTCULLIS_OPERATOR_LISTEN", "off").env("PORTCULLIS_WEBHOOK_SOURCES", webhooks::sources());
        command.env("DATABASE_URL", database.feed.to_url_lossy().to_string());
        command.env("PORTCULLIS_KEY_ENCRYPTION_KEY", STANDARD.encode(database.key_encryption_key.expose()));
        // what a kill leaves counted must not end the test, nor the machine's pace
        for name in ["ADDRESS_QUOTA_BURST", "ADDRESS_REQUESTS_IN_HAND", "WEBHOOK_REFUSAL_QUOTA"] {
            command.env(format!("PORTCULLIS_{name}"), "100000");
        }
        command.env("PORTCULLIS_ADDRESS_QUOTA_PER_SECOND", "10000");
        command.spawn().unwrap()
    }

    /// `kill -9`, and another one in its place.
    fn replace(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = Self::spawn(self.folder, self.port, self.database);
    }
}

impl Drop for Receiver<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn poll<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(LOOK).await;
    }
}

async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

#[actix_web::test]
async fn a_receiver_that_dies_again_and_again_deals_with_each_of_a_thousand_messages_once() {
    let _alone = crate::alone().await;
    let (database, folder) = (TestDatabase::create().await, tempfile::tempdir().unwrap());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut receiver = Receiver::start(folder.path(), port, &database);
    let authority = folder.path().join("data/tls/ca.pem");
    let authority = poll("a certificate", async || Certificate::from_pem(&std::fs::read(&authority).ok()?).ok()).await;
    let client = Client::builder().tls_certs_only([authority]).no_proxy().http1_only().timeout(Duration::from_secs(5)).build().unwrap();
    let url = format!("https://localhost:{port}/v1/webhooks/inbound/hr");

    let (acknowledged, repeated) = (Cell::new(0), Cell::new(0));
    let sender = futures_util::stream::iter(0..MESSAGES).for_each_concurrent(AT_ONCE, |n| {
        let (client, url, acknowledged, repeated, clock) = (&client, &url, &acknowledged, &repeated, &database.clock);
        async move {
            let body = event("room.booked", &json!({ "room": n }));
            let status = poll("a message to be safe", async || {
                let headers = signed_at(clock.now().unix_timestamp(), HR, &format!("msg_{n}"), &body);
                let request = headers.iter().fold(client.post(url).body(body.clone()), |request, (name, value)| request.header(name, value));
                let status = request.send().await.ok()?.status();
                assert!(status.is_success() || status.is_server_error(), "{status}");
                status.is_success().then_some(status)
            })
            .await;
            acknowledged.set(acknowledged.get() + 1);
            repeated.set(repeated.get() + usize::from(status == 200));
        }
    });
    let killer = async {
        let mut moments: Vec<usize> = (0..KILLS).map(|_| usize::from(u16::from_be_bytes(crypto::random())) % MESSAGES).collect();
        moments.sort_unstable();
        println!("killed after {moments:?} messages");
        for moment in moments {
            poll("progress", async || (acknowledged.get() >= moment).then_some(())).await;
            receiver.replace();
        }
    };
    tokio::join!(sender, killer);
    assert_eq!(acknowledged.get(), MESSAGES);
    println!("{} answers had been lost", repeated.get());

    let pool = &database.pool;
    let rest = "SELECT count(*) FROM webhook_inbox WHERE state <> 'processed'";
    poll("an empty inbox", async || (count(pool, rest).await == 0).then_some(())).await;
    for (what, sql) in [
        ("stored", "SELECT count(*) FROM webhook_inbox"),
        ("received", "SELECT count(*) FROM audit_events WHERE event = 'webhook.received'"),
        ("processed", "SELECT count(*) FROM audit_events WHERE event = 'webhook.processed'"),
        ("each", "SELECT count(DISTINCT detail->>'webhook') FROM audit_events WHERE event = 'webhook.processed'"),
    ] {
        assert_eq!(count(pool, sql).await, i64::try_from(MESSAGES).unwrap(), "{what}");
    }
}
