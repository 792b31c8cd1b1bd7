//! An audit log to tamper with, and a second reader of its chain that knows `docs/audit.md` and none of the service's code.

use super::{TestDatabase, log};
use aws_lc_rs::{
    digest,
    signature::{ED25519, UnparsedPublicKey},
};
use portcullis::{
    audit::{
        self, Entry, Event, Origin,
        chain::{
            self, Head, Memory,
            export::{self, Part},
            verify::{self, Damage, Findings},
        },
    },
    platform::{crypto, db::StoreError},
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

pub struct AuditLog {
    pub t: TestDatabase,
    /// The attacker: somebody who owns the database and has none of the keys.
    pub root: PgConnection,
    /// Of the running service.
    pub memory: Memory,
}

impl AuditLog {
    /// With so many events, each batch with a head of its own.
    pub async fn of(batches: &[usize]) -> Self {
        log::install();
        let t = TestDatabase::create().await;
        let name = t.feed.get_database().unwrap().to_owned();
        let root = PgConnection::connect_with(&t.superuser.clone().database(&name)).await.unwrap();
        let log = Self { t, root, memory: Memory::default() };
        for batch in batches {
            log.write(*batch).await;
            log.chain().await.unwrap();
        }
        log
    }

    pub async fn write(&self, events: usize) {
        let mut transaction = self.t.pool.begin().await.unwrap();
        for n in 0..events {
            let now = self.t.clock.now();
            let origin = Origin { request: Some(crypto::uuid_v7(now)), ..Origin::service() };
            let person = || Some(crypto::uuid_v7(now));
            let entry = Entry::new(Event::RolesChanged, &origin, person(), person()).detail(json!({ "count": n, "role": "ä" }));
            audit::record(&mut transaction, &self.t.keyring, now, entry).await.unwrap();
        }
        transaction.commit().await.unwrap();
    }

    pub async fn chain(&self) -> Result<(), StoreError> {
        chain::append(&self.t.pool, &self.t.keyring, &self.t.clock, &self.memory).await
    }

    pub async fn verify(&mut self, anchor: Option<&Head>) -> (Vec<Damage>, Findings) {
        self.after(&[], anchor).await
    }

    /// What is found after the attacker has run these statements, which are then taken back.
    pub async fn after(&mut self, statements: &[&str], anchor: Option<&Head>) -> (Vec<Damage>, Findings) {
        let mut transaction = self.root.begin().await.unwrap();
        // nothing that stands in the tables' way
        transaction.execute("SET LOCAL session_replication_role = replica; SET CONSTRAINTS ALL DEFERRED").await.unwrap();
        for statement in statements {
            let done = transaction.execute(AssertSqlSafe((*statement).to_owned())).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
            assert!(done.rows_affected() > 0 || statement.starts_with("ALTER"), "{statement} changes nothing");
        }
        let mut damage = Vec::new();
        let found = verify::verify(&mut transaction, &self.t.keyring, anchor, |one| damage.push(one)).await.unwrap();
        assert_eq!(found.damage, damage.len() as u64);
        transaction.rollback().await.unwrap();
        (damage, found)
    }

    /// For good.
    pub async fn run(&mut self, sql: &str) {
        self.root.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    }

    pub async fn head(&mut self) -> Head {
        let (damage, found) = self.verify(None).await;
        assert_eq!(damage, []);
        found.head.unwrap()
    }

    /// The whole chain as it is exported.
    pub async fn export(&mut self) -> Vec<Value> {
        let mut part = Part { beyond: 0, through: i64::MAX, opened: false };
        let mut all: Vec<String> = export::beginning(&mut self.root).await.unwrap().into_iter().collect();
        loop {
            let lines = export::lines(&mut self.root, &self.t.keyring, &mut part).await.unwrap();
            if lines.is_empty() {
                return all.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
            }
            all.extend(lines);
        }
    }
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn framed(fields: &[Option<Vec<u8>>]) -> Vec<u8> {
    let frame = |field: &Option<Vec<u8>>| match field {
        Some(bytes) => [&(bytes.len() as u64).to_be_bytes()[..], bytes].concat(),
        None => vec![255; 8],
    };
    fields.iter().flat_map(frame).collect()
}

fn number(value: &Value) -> Option<Vec<u8>> {
    Some(value.as_i64().unwrap().to_be_bytes().to_vec())
}

/// The hash of an exported event behind another hash.
pub fn hash_of(previous: &[u8], line: &Value) -> Vec<u8> {
    let id = |value: &Value| value.as_str().map(|text| uuid::Uuid::parse_str(text).unwrap().as_bytes().to_vec());
    let text = |value: &Value| Some(value.as_str().unwrap().as_bytes().to_vec());
    let form = framed(&[
        Some(b"portcullis audit event 1".to_vec()),
        Some(previous.to_vec()),
        number(&line["seq"]),
        id(&line["id"]),
        number(&line["at_micros"]),
        text(&line["event"]),
        text(&line["outcome"]),
        id(&line["actor"]),
        id(&line["subject"]),
        id(&line["request"]),
        text(&line["detail"]),
        Some(hex(&line["sealed"])),
        line["key_version"].as_i64().map(|version| i32::try_from(version).unwrap().to_be_bytes().to_vec()),
    ]);
    digest::digest(&digest::SHA256, &form).as_ref().to_vec()
}

/// Reads an export to the end with a public key, as anybody could. Gives how many events it has.
pub fn read_by_somebody_else(lines: &[Value], public_key: &[u8]) -> usize {
    let (mut previous, mut last, mut signed, mut events) = (vec![0; 32], 0, 0, 0);
    for line in lines {
        let seq = line["seq"].as_i64().unwrap();
        let statement = match line["kind"].as_str().unwrap() {
            "event" => {
                assert_eq!(seq, last + 1, "without a gap");
                previous = hash_of(&previous, line);
                assert_eq!(previous, hex(&line["hash"]), "{line}");
                (last, events) = (seq, events + 1);
                continue;
            }
            "head" => {
                assert_eq!((seq, line["after"].as_i64().unwrap()), (last, signed));
                assert_eq!(previous, hex(&line["hash"]));
                [Some(b"portcullis audit head 1".to_vec()), number(&line["after"])].to_vec()
            }
            "checkpoint" => {
                (previous, last) = (hex(&line["hash"]), seq);
                [Some(b"portcullis audit checkpoint 1".to_vec())].to_vec()
            }
            other => panic!("{other}"),
        };
        signed = seq;
        let statement = framed(&[statement, vec![number(&line["seq"]), Some(hex(&line["hash"])), number(&line["at_micros"])]].concat());
        UnparsedPublicKey::new(&ED25519, public_key).verify(&statement, &hex(&line["signature"])).expect("a good signature");
    }
    assert_eq!(signed, last, "the end is signed");
    events
}
