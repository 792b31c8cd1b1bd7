//! The audit log under load, and in the hands of whoever answers for it: verified, exported, pruned, by the binary.

use super::the_binary::portcullis;
use crate::support::{
    app::TestApp,
    chain::{AuditLog, read_by_somebody_else},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use portcullis::{
    audit::{
        self, Entry, Event, Origin,
        chain::{self, Memory, prune, verify::verify},
    },
    platform::db,
};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgPoolOptions};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Output},
    sync::atomic::{AtomicBool, Ordering},
};
use time::Duration;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_parallel_writes_are_chained_once_each_by_two_chainers() {
    let mut log = AuditLog::of(&[]).await;
    // more at once than a node's pool has, and patient: it is the database that is tried
    let pool = PgPoolOptions::new().max_connections(40).acquire_timeout(std::time::Duration::from_secs(60));
    let pool = pool.connect_lazy_with(db::as_runtime(log.t.feed.clone()));
    let (keyring, clock) = (log.t.keyring.clone(), log.t.clock.clone());
    let is_over = std::sync::Arc::new(AtomicBool::new(false));
    let chainers: Vec<_> = (0..2)
        .map(|_| {
            let (pool, keyring, clock, is_over) = (log.t.pool.clone(), keyring.clone(), clock.clone(), is_over.clone());
            tokio::spawn(async move {
                let memory = Memory::default();
                while !is_over.load(Ordering::Relaxed) {
                    chain::append(&pool, &keyring, &clock, &memory).await.unwrap();
                }
            })
        })
        .collect();
    let writes = (0..1000).map(|_| {
        let (pool, keyring, clock) = (pool.clone(), keyring.clone(), clock.clone());
        tokio::spawn(async move {
            let (now, origin) = (clock.now(), Origin::service());
            let account = Uuid::from_u128(7);
            let mut transaction = pool.begin().await.unwrap();
            let entry = Entry::own(Event::ProfileChanged, &origin, account).email("ada@example.org");
            audit::record(&mut transaction, &keyring, now, entry).await.unwrap();
            transaction.commit().await.unwrap();
        })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap();
    }
    is_over.store(true, Ordering::Relaxed);
    for chainer in chainers {
        chainer.await.unwrap();
    }
    log.chain().await.unwrap();
    let (damage, found) = log.verify(None).await;
    assert!(damage.is_empty(), "{damage:?}");
    assert_eq!((found.links, found.waiting), (1000, 0));
    let (events, first, last): (i64, i64, i64) =
        sqlx::query_as("SELECT count(DISTINCT event_id), min(seq), max(seq) FROM audit_chain").fetch_one(&log.t.pool).await.unwrap();
    assert_eq!((events, first, last), (1000, 1, 1000), "every event once, without a gap");
    let deadlocks: i64 =
        sqlx::query_scalar("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetch_one(&log.t.pool).await.unwrap();
    assert_eq!(deadlocks, 0);
}

#[tokio::test]
async fn an_event_that_commits_late_is_chained_late() {
    let mut log = AuditLog::of(&[]).await;
    let origin = Origin::service();
    let entry = || Entry::new(Event::KeysRotated, &origin, None, None);
    let mut late = log.t.pool.begin().await.unwrap();
    audit::record(&mut late, &log.t.keyring, log.t.clock.now(), entry()).await.unwrap();
    log.write(3).await;
    log.chain().await.unwrap();
    assert_eq!(log.head().await.seq, 3);
    late.commit().await.unwrap();
    assert_eq!(log.verify(None).await.1.waiting, 1);
    log.chain().await.unwrap();
    assert_eq!(log.head().await.seq, 4);
    // what is rolled back leaves no trace
    let mut undone = log.t.pool.begin().await.unwrap();
    audit::record(&mut undone, &log.t.keyring, log.t.clock.now(), entry()).await.unwrap();
    undone.rollback().await.unwrap();
    log.chain().await.unwrap();
    assert_eq!(log.head().await.seq, 4);
}

#[tokio::test]
async fn events_from_before_the_chain_are_chained() {
    let mut log = AuditLog::of(&[]).await;
    log.run("DROP TRIGGER audit_events_queue ON audit_events; DROP FUNCTION queue_for_chain; DROP TABLE audit_unchained, audit_chain, audit_heads, audit_checkpoints").await;
    log.write(5).await;
    let migration = db::MIGRATIONS.iter().find(|migration| migration.version == 16).unwrap();
    log.run(migration.sql.as_str()).await;
    log.write(1).await;
    log.chain().await.unwrap();
    assert_eq!(log.head().await.seq, 6);
}

#[actix_web::test]
async fn a_running_service_chains_by_itself() {
    let app = TestApp::start().await;
    app.create_account("ada@example.org").await;
    app.wait_for("the chainer", async || (app.count("SELECT count(*) FROM audit_heads").await > 0).then_some(())).await;
    let mut connection = app.database.pool.acquire().await.unwrap();
    verify(&mut connection, &app.state.keyring, None, |damage| panic!("{damage}")).await.unwrap();
}

/// Two years of a log: a year and a half ago, half a year ago, and now.
async fn old_log() -> AuditLog {
    let log = AuditLog::of(&[]).await;
    log.t.clock.advance(Duration::days(-540));
    for batch in [[5, 3], [4, 2], [2, 1]] {
        for events in batch {
            log.write(events).await;
            log.chain().await.unwrap();
        }
        log.t.clock.advance(Duration::days(270));
    }
    log.t.clock.advance(Duration::days(-270));
    log
}

#[tokio::test]
async fn what_is_pruned_leaves_the_rest_provable() {
    let mut log = old_log().await;
    let (now, before) = (log.t.clock.now(), log.head().await);
    let mut owner = PgConnection::connect_with(&log.t.owner).await.unwrap();
    let keyring = log.t.keyring.clone();
    let mut prune = async |days| prune::prune(&mut owner, &keyring, now - Duration::days(days), now, |damage| panic!("{damage}")).await;
    assert!(matches!(prune(89).await, Err(prune::PruneError::TooYoung)));
    assert!(prune(700).await.unwrap().is_none(), "nothing is that old");
    let gone = prune(365).await.unwrap().unwrap();
    assert_eq!((gone.through, gone.events), (8, 8));
    let (damage, found) = log.verify(Some(&before)).await;
    assert_eq!((&damage[..], found.start, found.links, found.waiting), (&[][..], 8, 9, 1), "its own event waits");
    let events: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_events").fetch_one(&mut log.root).await.unwrap();
    assert_eq!(events, 10);
    log.chain().await.unwrap();

    let gone = prune(180).await.unwrap().unwrap();
    assert_eq!((gone.through, gone.events), (14, 6), "once more");
    let (damage, found) = log.verify(Some(&before)).await;
    assert_eq!((&damage[..], found.start, found.links), (&[][..], 14, 4));
    log.chain().await.unwrap();
    let details: Vec<serde_json::Value> =
        sqlx::query_scalar("SELECT detail FROM audit_events WHERE event = 'audit.pruned' ORDER BY (detail->>'through')::int")
            .fetch_all(&mut log.root)
            .await
            .unwrap();
    assert_eq!(details, [serde_json::json!({ "through": 8, "events": 8 }), serde_json::json!({ "through": 14, "events": 6 })]);
    let public = log.t.keyring.attesting_key(portcullis::platform::keyring::Purpose::AuditChain, 1).unwrap();
    assert_eq!(read_by_somebody_else(&log.export().await, &public), 5, "and others can still follow");

    // everything that is old: what is written next goes on from the checkpoint
    log.t.clock.advance(Duration::days(100));
    let now = log.t.clock.now();
    let gone = prune::prune(&mut owner, &log.t.keyring, now - Duration::days(95), now, |damage| panic!("{damage}")).await.unwrap().unwrap();
    assert_eq!(gone.through, 19);
    log.chain().await.unwrap();
    assert_eq!(log.head().await.seq, 20);
    let (damage, _) = log.verify(Some(&before)).await;
    assert_eq!(damage, [chain::verify::Damage::AnchorTooOld { seq: before.seq, start: 19 }]);
    // an older checkpoint is no way back
    let (damage, _) = log.after(&["DELETE FROM audit_checkpoints WHERE seq > 14"], None).await;
    assert_eq!(damage[0], chain::verify::Damage::LinksRemoved { from: 15, to: 19 });

    // what somebody changed does not go with what is old
    let mut log = old_log().await;
    log.run("UPDATE audit_events SET outcome = 'refused' WHERE id = (SELECT event_id FROM audit_chain WHERE seq = 2)").await;
    let mut owner = PgConnection::connect_with(&log.t.owner).await.unwrap();
    let now = log.t.clock.now();
    let refused = prune::prune(&mut owner, &log.t.keyring, now - Duration::days(365), now, |_| {}).await;
    assert!(matches!(refused, Err(prune::PruneError::Damaged)));
    assert_eq!(log.verify(None).await.1.links, 17, "nothing went");
}

fn run(log: &AuditLog, arguments: &[&str]) -> Command {
    let mut command = portcullis(Path::new("."));
    command.arg("audit").args(arguments).env("DATABASE_URL", log.t.feed.to_url_lossy().to_string());
    command.env("PORTCULLIS_KEY_ENCRYPTION_KEY", STANDARD.encode(log.t.key_encryption_key.expose()));
    command
}

fn said(output: &Output) -> (bool, String) {
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn an_operator_verifies_exports_and_prunes() {
    let mut log = old_log().await;
    let head = log.head().await;
    let tell = |arguments: &[&str]| said(&run(&log, arguments).output().unwrap());
    let (fine, text) = tell(&["verify"]);
    assert!(fine && text.contains("17 events are chained, 0 wait") && text.contains(&format!("head {head}\n")), "{text}");
    let (fine, text) = tell(&["verify", "--anchor", &head.to_string()]);
    assert!(fine && text.contains(&head.to_string()), "{text}");
    let cut = format!("99{head}");
    let (fine, text) = tell(&["verify", "--anchor", &cut]);
    assert!(!fine && text.contains("the tail was cut: the chain ends at 17") && text.contains("1 findings"), "{text}");
    assert!(tell(&["verify", "--anchor", "x"]).1.contains("is no head"));

    let (fine, text) = tell(&["keys"]);
    let public = text.trim().strip_prefix("v1 Ed25519 ").unwrap();
    let public: Vec<u8> = (0..64).step_by(2).map(|at| u8::from_str_radix(&public[at..at + 2], 16).unwrap()).collect();
    let (exported, lines) = tell(&["export"]);
    let read = |lines: &str| lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<serde_json::Value>>();
    assert!(fine && exported && read_by_somebody_else(&read(&lines), &public) == 17);
    let part = read(&tell(&["export", "--from", "6", "--until", "7"]).1);
    assert_eq!(part.iter().map(|line| line["seq"].as_i64().unwrap()).collect::<Vec<_>>(), [6, 7]);
    assert!(part.iter().all(|line| line.get("personal").is_none()));
    let (fine, opened) = tell(&["export", "--personal", "--from", "17"]);
    assert!(fine, "{opened}");
    assert_eq!(read(&opened)[0]["personal"]["device"], "the service");
    let recorded: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_events WHERE event = 'audit.opened'").fetch_one(&log.t.pool).await.unwrap();
    assert_eq!(recorded, 1);
    // a reader that has seen enough
    let mut child = run(&log, &["export"]).spawn().unwrap();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    assert!(child.wait().unwrap().success());

    let prune = |arguments: &[&str]| {
        let mut command = run(&log, &[&["prune"], arguments].concat());
        said(&command.env("PORTCULLIS_OWNER_DATABASE_URL", log.t.owner.to_url_lossy().to_string()).output().unwrap())
    };
    assert!(prune(&[]).1.contains("required") && prune(&["--keep-days", "365", "--before", "2020-01-01T00:00:00Z"]).1.contains("cannot be used"));
    assert!(prune(&["--keep-days", "30"]).1.contains("kept for 90 days at least"));
    assert!(said(&run(&log, &["prune", "--keep-days", "365"]).output().unwrap()).1.contains("permission denied"), "the service's login cannot");
    assert_eq!(prune(&["--before", "2020-01-01T00:00:00Z"]), (true, "nothing is that old\n".into()));
    assert_eq!(prune(&["--keep-days", "365"]), (true, "removed 8 events, up to 8; the rest goes on from a signed checkpoint\n".into()));
    log.chain().await.unwrap();
    let (fine, text) = tell(&["verify", "--anchor", &head.to_string()]);
    assert!(fine && text.contains("what was up to 8 was removed by its owner") && text.contains("11 events are chained"), "{text}");

    log.run("UPDATE audit_events SET actor = NULL WHERE id = (SELECT event_id FROM audit_chain WHERE seq = 9)").await;
    let (fine, text) = said(&run(&log, &["verify"]).output().unwrap());
    assert!(!fine && text.contains("9: event ") && text.contains("was altered") && text.contains("not as it was written: 1 findings"), "{text}");
}
