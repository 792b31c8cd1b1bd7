//! The foundation against real Postgres: the run-time role, the keyring, registrations, sessions, passwords, the outbox.

use crate::support::TestDatabase;
use portcullis::{
    accounts::{
        Account, AccountId, Email,
        registration::{self, Proof, RegistrationError},
        store as accounts,
    },
    credentials::password::{Cost, HashPool, Password, Passwords, Verdict},
    platform::{
        crypto, db,
        keyring::{KeyBytes, Keyring, KeyringError},
        mail::{Mail, Mailer, Transport},
        outbox,
    },
    sessions,
};
use secrecy::ExposeSecret;
use time::Duration;

const LIFETIME: Duration = Duration::minutes(15);

fn ada() -> Email {
    Email::parse("ada@example.org").unwrap()
}

#[tokio::test]
async fn schema_change_by_the_service_is_refused() {
    let t = TestDatabase::create().await;
    db::check_schema(&t.pool).await.unwrap();
    for sql in ["CREATE TABLE x ()", "DROP TABLE users", "ALTER TABLE users ADD x int", "TRUNCATE keyring", "DELETE FROM keyring"] {
        let error = sqlx::query(sql).execute(&t.pool).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("42501"), "{sql}");
    }
}

#[tokio::test]
async fn two_instances_migrate_at_once() {
    let t = TestDatabase::create().await;
    let (a, b) = tokio::join!(db::migrate(&t.owner), db::migrate(&t.owner));
    a.unwrap();
    b.unwrap();
}

#[tokio::test]
async fn a_foreign_key_encryption_key_opens_nothing() {
    let t = TestDatabase::create().await;
    Keyring::open(&t.pool, &t.key_encryption_key, t.clock.now()).await.unwrap();
    let foreign = Keyring::open(&t.pool, &KeyBytes::new(crypto::random()), t.clock.now()).await;
    assert!(matches!(foreign, Err(KeyringError::WrongKeyEncryptionKey { .. })));
}

#[tokio::test]
async fn registration_code_guessing_ends_after_five_tries_also_in_parallel() {
    let t = TestDatabase::create().await;
    let mut connection = t.pool.acquire().await.unwrap();
    let issued = registration::issue(&mut connection, &t.keyring, t.clock.now(), LIFETIME, &ada()).await.unwrap();
    let right = issued.code.expose_secret().to_owned();
    let wrong = if right == "00000000" { "00000001" } else { "00000000" };
    let tries = (0..50).map(|_| {
        let (pool, keyring, now) = (t.pool.clone(), t.keyring.clone(), t.clock.now());
        let proof = Proof::Code { registration: issued.id, code: wrong.into() };
        async move { registration::check(&mut pool.acquire().await.unwrap(), &keyring, now, &proof).await.is_err() }
    });
    assert!(futures_util::future::join_all(tries).await.into_iter().all(|refused| refused));
    let counted: i16 = sqlx::query_scalar("SELECT tries FROM registrations").fetch_one(&t.pool).await.unwrap();
    assert_eq!(counted, registration::MAX_TRIES);
    let proof = Proof::Code { registration: issued.id, code: right };
    let late = registration::check(&mut connection, &t.keyring, t.clock.now(), &proof).await;
    assert!(matches!(late, Err(RegistrationError::InvalidProof)));
}

#[tokio::test]
async fn a_proof_is_spent_once_by_fifty_parallel_calls_and_never_after_its_time() {
    let t = TestDatabase::create().await;
    let mut connection = t.pool.acquire().await.unwrap();
    let issued = registration::issue(&mut connection, &t.keyring, t.clock.now(), LIFETIME, &ada()).await.unwrap();
    let proof = Proof::Link(issued.link.expose().to_owned());
    let proven = registration::check(&mut connection, &t.keyring, t.clock.now(), &proof).await.unwrap();
    let spends = (0..50).map(|_| {
        let (pool, now, proven) = (t.pool.clone(), t.clock.now(), &proven);
        async move { registration::spend(&mut pool.acquire().await.unwrap(), now, proven).await.is_ok() }
    });
    assert_eq!(futures_util::future::join_all(spends).await.into_iter().filter(|spent| *spent).count(), 1);

    let second = registration::issue(&mut connection, &t.keyring, t.clock.now(), LIFETIME, &ada()).await.unwrap();
    t.clock.advance(LIFETIME);
    let late = registration::check(&mut connection, &t.keyring, t.clock.now(), &Proof::Link(second.link.expose().to_owned())).await;
    assert!(matches!(late, Err(RegistrationError::InvalidProof)));
}

#[tokio::test]
async fn an_idle_session_ends_and_a_used_one_lives_to_its_absolute_end() {
    let t = TestDatabase::create().await;
    let mut connection = t.pool.acquire().await.unwrap();
    let now = t.clock.now();
    let account =
        Account { id: AccountId(crypto::uuid_v7(now)), email: "ada@example.org".into(), name: "Ada".into(), created_at: now, updated_at: now };
    accounts::insert(&mut connection, &account).await.unwrap();
    let lifetimes = sessions::Lifetimes { idle: Duration::minutes(30), absolute: Duration::hours(12) };
    let started = sessions::start(&mut connection, account.id.0, now, lifetimes).await.unwrap();
    let key = crypto::random::<32>();
    assert!(sessions::store::attach_key(&t.pool, started.id, &key, b"sealed", 1, now).await.unwrap());
    assert!(!sessions::store::attach_key(&t.pool, started.id, &crypto::random::<32>(), b"sealed", 1, now).await.unwrap(), "a second key");
    let lives = |after: Duration| {
        let pool = t.pool.clone();
        async move { sessions::store::find_live_by_key(&pool, &key, now + after).await.unwrap().is_some() }
    };
    assert!(lives(Duration::minutes(30) - Duration::seconds(1)).await);
    assert!(!lives(Duration::minutes(30)).await);
    let used = now + lifetimes.absolute - Duration::minutes(1);
    sessions::store::mark_seen(&t.pool, started.id, used, used + lifetimes.idle).await.unwrap();
    assert!(lives(lifetimes.absolute - Duration::seconds(1)).await);
    assert!(!lives(lifetimes.absolute).await);
}

#[tokio::test]
async fn passwords_are_salted_verified_and_rehashed_when_the_cost_rises() {
    let t = TestDatabase::create().await;
    let pool = HashPool::start(1, 8).unwrap();
    let old = Passwords::new(pool.clone(), t.keyring.clone(), Cost { memory_kib: 7_168, iterations: 5, parallelism: 1 });
    let new = Passwords::new(pool, t.keyring.clone(), Cost::DEFAULT);
    let password = Password::new("wet gravel under a tin moon");
    let (first, second) = (old.create(&password, vec![]).await.unwrap(), old.create(&password, vec![]).await.unwrap());
    assert_ne!(first.phc, second.phc, "equal passwords, different hashes");
    let Verdict::Right { upgraded: Some(better) } = new.verify(&password, Some(first)).await.unwrap() else { panic!("no upgrade") };
    assert!(better.phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", better.phc);
    assert!(matches!(new.verify(&password, Some(better.clone())).await.unwrap(), Verdict::Right { upgraded: None }));
    assert!(matches!(new.verify(&Password::new("wet gravel under a tin moon "), Some(better)).await.unwrap(), Verdict::Wrong));
    let before = new.verifications();
    assert!(matches!(new.verify(&password, None).await.unwrap(), Verdict::Wrong));
    assert_eq!(new.verifications(), before + 1, "an unknown account costs one verification too");
}

#[tokio::test]
async fn a_hash_flood_fills_a_bounded_queue() {
    let t = TestDatabase::create().await;
    let passwords = Passwords::new(HashPool::start(1, 4).unwrap(), t.keyring.clone(), Cost::DEFAULT);
    let password = Password::new("wet gravel under a tin moon");
    let flood = futures_util::future::join_all((0..100).map(|_| passwords.verify(&password, None))).await;
    let served = flood.iter().filter(|result| result.is_ok()).count();
    assert!((1..=6).contains(&served), "{served} of 100 got into a queue of 4");
}

#[tokio::test]
async fn a_letter_waits_sealed_is_sent_and_erased_and_survives_a_failed_delivery() {
    let t = TestDatabase::create().await;
    let mail = Mail { to: "ada@example.org".into(), subject: "Hello".into(), text: "canary-text".into(), html: "<p>canary-text</p>".into() };
    outbox::enqueue(&mut t.pool.acquire().await.unwrap(), &t.keyring, t.clock.now(), &mail).await.unwrap();
    let sealed: Vec<u8> = sqlx::query_scalar("SELECT sealed FROM outbox").fetch_one(&t.pool).await.unwrap();
    assert!(!sealed.windows(6).any(|part| part == b"canary" || part == b"ada@ex"));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("blocked");
    std::fs::write(&file, "").unwrap();
    let mut mailer = Mailer { transport: Transport::Files(file), from: "portcullis@localhost".parse().unwrap() };
    assert_eq!(outbox::deliver_due(&t.pool, &t.keyring, &mailer, &t.clock).await.unwrap(), 1);
    assert_eq!(outbox::deliver_due(&t.pool, &t.keyring, &mailer, &t.clock).await.unwrap(), 0, "not again before its time");
    t.clock.advance(Duration::seconds(11));
    mailer.transport = Transport::Files(folder.path().join("mail"));
    assert_eq!(outbox::deliver_due(&t.pool, &t.keyring, &mailer, &t.clock).await.unwrap(), 1);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox").fetch_one(&t.pool).await.unwrap();
    assert_eq!(left, 0);
    assert_eq!(std::fs::read_dir(folder.path().join("mail")).unwrap().count(), 1);
}
