//! The attacker owns the database and wants what they did to be gone from the audit log. They have everything but the service's keys
//! and yesterday's log.

use crate::support::{
    app::TestApp,
    chain::{AuditLog, hash_of},
    log,
};
use portcullis::{
    audit::chain::{
        Head, Memory,
        verify::{Damage, verify},
    },
    platform::{
        crypto,
        db::{self, StoreError},
        keyring::Purpose,
    },
};
use sqlx::Executor;
use std::collections::BTreeSet;
use time::Duration;
use uuid::Uuid;

/// Twelve events in three batches.
const BATCHES: [usize; 3] = [4, 4, 4];

/// The event at this place.
const AT_6: &str = "WHERE id = (SELECT event_id FROM audit_chain WHERE seq = 6)";

async fn ids(log: &mut AuditLog) -> Vec<Uuid> {
    sqlx::query_scalar("SELECT event_id FROM audit_chain ORDER BY seq").fetch_all(&mut log.root).await.unwrap()
}

#[tokio::test]
async fn an_event_edited_in_any_column_is_found() {
    let mut log = AuditLog::of(&BATCHES).await;
    assert_eq!(log.verify(None).await.0, [], "as it was written");
    let event = ids(&mut log).await[5];
    let edits = [
        ("at", "at + interval '1 microsecond'"),
        ("at", "'infinity'"),
        ("event", "'account.created'"),
        ("outcome", "'refused'"),
        ("actor", "subject"),
        ("actor", "NULL"),
        ("subject", "gen_random_uuid()"),
        ("request", "NULL"),
        ("detail", "detail || '{\"count\": 7}'"),
        // the same number
        ("detail", "detail || '{\"count\": 1.0}'"),
        ("detail", "'{}'"),
        ("sealed", "sealed || '\\x00'"),
        ("key_version", "key_version + 1"),
        ("key_version", "NULL"),
    ];
    for (column, value) in edits {
        let edit = format!("UPDATE audit_events SET {column} = {value} {AT_6}");
        assert_eq!(log.after(&[&edit], None).await.0, [Damage::Altered { seq: 6, event }], "{edit}");
    }
    let (damage, _) = log.after(&[&format!("UPDATE audit_events SET id = '01900000-0000-7000-8000-000000000000' {AT_6}")], None).await;
    assert_eq!(damage[0], Damage::Removed { seq: 6, event });
    assert!(matches!(damage[1..], [Damage::NeverChained { .. }]), "{damage:?}");

    // whoever adds a column decides whether the chain covers it
    let columns: Vec<String> =
        sqlx::query_scalar("SELECT attname::text FROM pg_attribute WHERE attrelid = 'audit_events'::regclass AND attnum > 0 AND NOT attisdropped")
            .fetch_all(&mut log.root)
            .await
            .unwrap();
    let edited: BTreeSet<&str> = edits.iter().map(|(column, _)| *column).chain(["id"]).collect();
    assert_eq!(columns.iter().map(String::as_str).collect::<BTreeSet<_>>(), edited);
}

#[tokio::test]
async fn a_removed_event_is_found_with_or_without_its_link() {
    let mut log = AuditLog::of(&BATCHES).await;
    let event = ids(&mut log).await[5];
    let event_goes = format!("DELETE FROM audit_events {AT_6}");
    let (damage, _) = log.after(&[&event_goes], None).await;
    assert_eq!(damage, [Damage::Removed { seq: 6, event }]);
    let (damage, _) = log.after(&[&event_goes, "DELETE FROM audit_chain WHERE seq = 6"], None).await;
    assert_eq!(damage, [Damage::LinksRemoved { from: 6, to: 6 }]);
    let (damage, _) = log.after(&["DELETE FROM audit_chain WHERE seq = 6"], None).await;
    assert_eq!(damage, [Damage::LinksRemoved { from: 6, to: 6 }, Damage::NeverChained { event }]);
    // and the gap closed
    let close = [
        "DELETE FROM audit_chain WHERE seq = 6",
        "UPDATE audit_chain SET seq = -seq WHERE seq > 6",
        "UPDATE audit_chain SET seq = -seq - 1 WHERE seq < 0",
    ];
    let (damage, _) = log.after(&[&["ALTER TABLE audit_chain DROP CONSTRAINT audit_chain_seq_check", &event_goes], &close[..]].concat(), None).await;
    assert!(damage.contains(&Damage::HeadContradicted { seq: 8 }) && damage.len() > 6, "{damage:?}");
    // the oldest, as if they had been pruned
    let oldest = [
        "DELETE FROM audit_events WHERE id IN (SELECT event_id FROM audit_chain WHERE seq <= 4)",
        "DELETE FROM audit_chain WHERE seq <= 4",
        "DELETE FROM audit_heads WHERE seq <= 4",
    ];
    let (damage, _) = log.after(&oldest, None).await;
    assert_eq!(damage, [Damage::LinksRemoved { from: 1, to: 4 }, Damage::HeadsChanged { from: 0, to: 8 }]);
    // before it was chained
    log.write(1).await;
    let waits = "DELETE FROM audit_events WHERE id = (SELECT event_id FROM audit_unchained)";
    assert!(matches!(log.after(&[waits], None).await.0[..], [Damage::WaitsInVain { .. }]));
    log.run(waits).await;
    log.write(1).await;
    log.chain().await.unwrap();
    let (damage, found) = log.verify(None).await;
    assert!(matches!(damage[..], [Damage::WaitsInVain { .. }]) && found.links == 13, "the chainer goes on and the trace stays: {damage:?}");
}

#[tokio::test]
async fn swapped_events_are_found() {
    let mut log = AuditLog::of(&BATCHES).await;
    let ids = ids(&mut log).await;
    let (third, ninth) = (ids[2], ids[8]);
    let swap = format!("UPDATE audit_chain SET event_id = CASE seq WHEN 3 THEN '{ninth}'::uuid ELSE '{third}' END WHERE seq IN (3, 9)");
    let free = "ALTER TABLE audit_chain DROP CONSTRAINT audit_chain_event_id_key";
    let (damage, _) = log.after(&[free, &swap], None).await;
    let expected = [Damage::Reordered { seq: 3, event: ninth, belongs: third }, Damage::Reordered { seq: 9, event: third, belongs: ninth }];
    assert_eq!(damage, expected, "their places in the chain");
    let swap = "UPDATE audit_chain SET seq = 13 - seq WHERE seq IN (6, 7)";
    let (damage, _) = log.after(&["ALTER TABLE audit_chain DROP CONSTRAINT audit_chain_pkey", swap], None).await;
    assert_eq!(damage[0], Damage::Reordered { seq: 6, event: ids[6], belongs: ids[5] }, "whole links: {damage:?}");
    let swap = "UPDATE audit_events e SET (at, event, outcome, actor, subject, request, detail, sealed) =
        (SELECT at, event, outcome, actor, subject, request, detail, sealed FROM audit_events o
         WHERE o.id = (SELECT event_id FROM audit_chain WHERE seq = 12 - (SELECT seq FROM audit_chain WHERE event_id = e.id)))
        WHERE id IN (SELECT event_id FROM audit_chain WHERE seq IN (3, 9))";
    let (damage, _) = log.after(&[swap], None).await;
    assert_eq!(damage, [Damage::Altered { seq: 3, event: third }, Damage::Altered { seq: 9, event: ninth }], "what they say");
}

const INSERT: &str =
    "INSERT INTO audit_events SELECT '01900000-0000-7000-8000-000000000001', at, event, outcome, actor, subject, request, detail, sealed, key_version
    FROM audit_events WHERE id = (SELECT event_id FROM audit_chain WHERE seq = 1)";

#[tokio::test]
async fn an_inserted_event_is_found() {
    let mut log = AuditLog::of(&BATCHES).await;
    let event = Uuid::parse_str("01900000-0000-7000-8000-000000000001").unwrap();
    assert_eq!(log.after(&[INSERT], None).await.0, [Damage::NeverChained { event }]);
    let before = format!("INSERT INTO audit_chain SELECT 0, '{event}', hash FROM audit_chain WHERE seq = 1");
    let free = "ALTER TABLE audit_chain DROP CONSTRAINT audit_chain_seq_check";
    assert_eq!(log.after(&[free, INSERT, &before], None).await.0, [Damage::Inserted { seq: 0, event }]);
    // where no walk begins
    let (nil, nobody) = (INSERT.replace(&event.to_string(), &Uuid::nil().to_string()), Uuid::nil());
    assert_eq!(log.after(&[&nil], None).await.0, [Damage::NeverChained { event: nobody }]);
    let first = before.replace("SELECT 0,", "SELECT -9223372036854775808,");
    assert_eq!(log.after(&[free, INSERT, &first], None).await.0, [Damage::Inserted { seq: i64::MIN, event }]);
    let head = "INSERT INTO audit_heads SELECT 0, -1, hash, at, key_version, signature FROM audit_heads WHERE seq = 12";
    assert_eq!(log.after(&[head], None).await.0, [Damage::HeadForged { seq: 0 }], "prune would sign what it says");
    let behind = format!("INSERT INTO audit_chain SELECT 13, '{event}', hash FROM audit_chain WHERE seq = 1");
    let (damage, _) = log.after(&[INSERT, &behind], None).await;
    assert_eq!(damage, [Damage::Altered { seq: 13, event }, Damage::Unsigned { from: 13, to: 13 }]);

    // put into the queue like any other: the service cannot know it, but it was not written when it says
    log.t.clock.advance(Duration::hours(2));
    log.write(1).await;
    log.chain().await.unwrap();
    log.run(INSERT).await;
    assert_eq!(log.verify(None).await.0, [Damage::Backdated { event }], "while it waits");
    log.chain().await.unwrap();
    assert_eq!(log.verify(None).await.0, [Damage::Backdated { event }], "and for ever");

    // the same, dated ahead; and those that come behind it are not taken for late ones
    let mut log = AuditLog::of(&BATCHES).await;
    log.run(INSERT).await;
    log.run("UPDATE audit_events SET at = now() + interval '9 years' WHERE id = '01900000-0000-7000-8000-000000000001'").await;
    log.chain().await.unwrap();
    log.write(2).await;
    log.chain().await.unwrap();
    assert_eq!(log.verify(None).await.0, [Damage::Postdated { event }]);
}

#[tokio::test]
async fn a_cut_tail_shows_against_a_head_of_before() {
    let mut log = AuditLog::of(&BATCHES).await;
    let anchor = log.head().await;
    assert_eq!(anchor.seq, 12);
    assert!(log::text().contains(&format!("\"message\":\"audit chain head\",\"seq\":12,\"head\":\"{anchor}\"")), "operators find it in the log");
    let events = "DELETE FROM audit_events WHERE id IN (SELECT event_id FROM audit_chain WHERE seq > 8)";
    let cut = [events, "DELETE FROM audit_chain WHERE seq > 8", "DELETE FROM audit_heads WHERE seq > 8"];
    let (damage, found) = log.after(&cut, None).await;
    assert!(damage.is_empty() && found.head.unwrap().seq == 8, "what the log is for: without it, this is a chain of eight");
    assert_eq!(log.after(&cut, Some(&anchor)).await.0, [Damage::TailCut { end: 8, known: 12 }]);
    // less tidily
    assert_eq!(log.after(&cut[..2], None).await.0, [Damage::TailCut { end: 8, known: 12 }], "its head stays behind");
    let (damage, _) = log.after(&cut[1..], None).await;
    assert_eq!(damage.iter().filter(|one| matches!(one, Damage::NeverChained { .. })).count(), 4, "its events stay behind");
    let (damage, _) = log.after(&["DELETE FROM audit_chain WHERE seq > 10", "DELETE FROM audit_heads WHERE seq > 8"], None).await;
    assert_eq!(damage[0], Damage::Unsigned { from: 9, to: 10 }, "in the midst of a batch");

    // for good: the running service knows what it signed, and goes on when it was started anew
    for statement in cut {
        log.run(statement).await;
    }
    log.write(4).await;
    assert!(matches!(log.chain().await, Err(StoreError::Altered(_))));
    log.memory = Memory::default();
    log.chain().await.unwrap();
    assert_eq!(log.verify(None).await.0, []);
    assert_eq!(log.verify(Some(&anchor)).await.0, [Damage::AnchorContradicted { seq: 12 }]);
}

/// The hashes are no secret: whoever knows this form writes a chain of their own.
#[tokio::test]
async fn a_tail_written_anew_lacks_the_signature() {
    let mut log = AuditLog::of(&BATCHES).await;
    let anchor = log.head().await;
    let mut lines = log.export().await;
    lines.retain(|line| line["kind"] == "event");
    lines[8]["outcome"] = "refused".into();
    let mut rewrite = vec!["UPDATE audit_events SET outcome = 'refused' WHERE id = (SELECT event_id FROM audit_chain WHERE seq = 9)".to_owned()];
    let mut hash = (0..64).step_by(2).map(|at| u8::from_str_radix(&lines[7]["hash"].as_str().unwrap()[at..at + 2], 16).unwrap()).collect::<Vec<_>>();
    for line in &lines[8..] {
        hash = hash_of(&hash, line);
        rewrite.push(format!("UPDATE audit_chain SET hash = '\\x{}' WHERE seq = {}", crypto::hex(&hash), line["seq"]));
    }
    let rewrite: Vec<&str> = rewrite.iter().map(String::as_str).collect();
    assert_eq!(log.after(&rewrite, None).await.0, [Damage::HeadContradicted { seq: 12 }], "the links fit");
    assert_eq!(log.after(&rewrite, Some(&anchor)).await.0, [Damage::AnchorContradicted { seq: 12 }, Damage::HeadContradicted { seq: 12 }]);

    let head = Head { seq: 12, hash: hash.clone().try_into().unwrap() };
    let moved = format!("UPDATE audit_heads SET hash = '\\x{}' WHERE seq = 12", crypto::hex(&hash));
    assert_eq!(log.after(&[&rewrite[..], &[&moved]].concat(), None).await.0, [Damage::HeadForged { seq: 12 }]);
    let own_key = crypto::hex(&crypto::sign(&crypto::random(), head.to_string().as_bytes()).unwrap());
    let forged = format!("UPDATE audit_heads SET hash = '\\x{}', signature = '\\x{own_key}' WHERE seq = 12", crypto::hex(&hash));
    assert_eq!(log.after(&[&rewrite[..], &[&forged]].concat(), None).await.0, [Damage::HeadForged { seq: 12 }]);
    let gone = "DELETE FROM audit_heads WHERE seq = 12";
    assert_eq!(log.after(&[&rewrite[..], &[gone]].concat(), None).await.0, [Damage::Unsigned { from: 9, to: 12 }]);
    let later = "UPDATE audit_heads SET at = at + interval '1 day' WHERE seq = 8";
    assert_eq!(log.after(&[later], None).await.0, [Damage::HeadForged { seq: 8 }], "nor is a head dated as one likes");
    assert_eq!(log.after(&["DELETE FROM audit_heads WHERE seq = 4"], None).await.0, [Damage::HeadsChanged { from: 0, to: 8 }], "nor taken out");
    let other = "UPDATE audit_heads SET key_version = key_version + 1 WHERE seq = 8";
    assert_eq!(log.after(&[other], None).await.0, [Damage::HeadForged { seq: 8 }], "of a key that there is not");

    // the service lends nobody its signature
    for statement in [&rewrite[..], &[gone]].concat() {
        log.run(statement).await;
    }
    log.write(1).await;
    assert!(matches!(log.chain().await, Err(StoreError::Altered(_))));
    let (damage, found) = log.verify(None).await;
    assert_eq!((&damage[..], found.waiting), (&[Damage::Unsigned { from: 9, to: 12 }][..], 1));
}

#[tokio::test]
async fn a_forged_checkpoint_hides_nothing() {
    let mut log = AuditLog::of(&BATCHES).await;
    let prune = [
        "DELETE FROM audit_events WHERE id IN (SELECT event_id FROM audit_chain WHERE seq <= 4)",
        "DELETE FROM audit_chain WHERE seq <= 4",
        // the signature of a head is none of a checkpoint
        "INSERT INTO audit_checkpoints SELECT seq, hash, at, key_version, signature FROM audit_heads WHERE seq = 4",
        "DELETE FROM audit_heads WHERE seq <= 4",
    ];
    let (damage, found) = log.after(&prune, None).await;
    let expected = [Damage::CheckpointForged { seq: 4 }, Damage::LinksRemoved { from: 1, to: 4 }, Damage::HeadsChanged { from: 0, to: 8 }];
    assert_eq!((&damage[..], found.start), (&expected[..], 0));
}

#[tokio::test]
async fn the_service_itself_can_only_append() {
    let log = AuditLog::of(&BATCHES).await;
    for pool in [log.t.pool.clone(), db::pool(log.t.owner.clone(), 1)] {
        for table in ["audit_events", "audit_chain", "audit_heads", "audit_checkpoints"] {
            let column = if table == "audit_events" { "sealed" } else { "hash" };
            for sql in [format!("UPDATE {table} SET {column} = ''"), format!("DELETE FROM {table}"), format!("TRUNCATE {table}")] {
                let error = pool.execute(sqlx::AssertSqlSafe(sql.clone())).await.unwrap_err();
                assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("42501"), "{sql}");
            }
        }
        let checkpoint = "INSERT INTO audit_checkpoints SELECT seq, hash, at, key_version, signature FROM audit_heads";
        let refused = pool.execute(checkpoint).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("42501"), "pruning is the owner's");
        let disabled = pool.execute("ALTER TABLE audit_events DISABLE TRIGGER ALL").await.unwrap_err();
        assert_eq!(disabled.as_database_error().unwrap().code().as_deref(), Some("42501"));
    }
}

#[tokio::test]
async fn an_event_taken_from_the_queue_is_found() {
    let mut log = AuditLog::of(&BATCHES).await;
    log.write(1).await;
    let event: Uuid = sqlx::query_scalar("DELETE FROM audit_unchained RETURNING event_id").fetch_one(&log.t.pool).await.unwrap();
    log.chain().await.unwrap();
    assert_eq!(log.verify(None).await.0, [Damage::NeverChained { event }]);
    // and one that is chained is not chained again
    sqlx::query("INSERT INTO audit_unchained SELECT event_id, now() FROM audit_chain WHERE seq = 6").execute(&log.t.pool).await.unwrap();
    log.chain().await.unwrap();
    let sixth = ids(&mut log).await[5];
    assert_eq!(log.verify(None).await.0, [Damage::NeverChained { event }, Damage::WaitsInVain { event: sixth }]);
}

#[actix_web::test]
async fn erasing_a_person_leaves_the_chain_valid() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    app.run_jobs().await;
    let verified = async |anchor: Option<&Head>| {
        let mut connection = app.database.pool.acquire().await.unwrap();
        verify(&mut connection, &app.state.keyring, anchor, |damage| panic!("{damage}")).await.unwrap()
    };
    let before = verified(None).await;
    assert!(before.links > 1 && before.waiting == 0, "{before:?}");
    let id = app.id_of("ada@example.org").await;
    assert_eq!(ada.post("/v1/me/close", serde_json::json!({ "email": "ada@example.org" })).await.status, 200);
    app.clock.advance(Duration::days(14));
    app.run_jobs().await;
    assert_eq!(app.count("SELECT count(*) FROM users").await, 0);
    let after = verified(before.head.as_ref()).await;
    assert!(after.links > before.links, "{after:?}");
    let events: i64 =
        sqlx::query_scalar("SELECT count(*) FROM audit_events WHERE subject::text = $1").bind(&id).fetch_one(&app.database.pool).await.unwrap();
    assert!(events > 3, "her events are there, and sealed for good");
}

#[tokio::test]
async fn an_unknown_key_version_is_no_signature() {
    let log = AuditLog::of(&[1]).await;
    let keyring = &log.t.keyring;
    let (version, signature) = keyring.attest(Purpose::AuditChain, b"x").unwrap();
    assert!(keyring.is_attested(Purpose::AuditChain, version, b"x", &signature));
    assert!(!keyring.is_attested(Purpose::AuditChain, version, b"y", &signature));
    assert!(!keyring.is_attested(Purpose::AuditChain, version + 1, b"x", &signature));
    assert!(!keyring.is_attested(Purpose::TokenSigning, version, b"x", &signature));
}
