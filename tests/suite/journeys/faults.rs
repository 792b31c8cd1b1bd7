//! Two at once, and a delivery that fails: nothing is lost, nothing is half done.

use crate::support::TestDatabase;
use portcullis::platform::{
    db,
    mail::{Mail, Mailer, Transport},
    outbox,
};
use time::Duration;

#[tokio::test]
async fn two_instances_migrate_at_once() {
    let t = TestDatabase::create().await;
    let (a, b) = tokio::join!(db::migrate(&t.owner), db::migrate(&t.owner));
    a.unwrap();
    b.unwrap();
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
    assert_eq!(outbox::deliver_due(&t.pool, &t.keyring, &mailer, &t.clock, 20).await.unwrap(), 1);
    assert_eq!(outbox::deliver_due(&t.pool, &t.keyring, &mailer, &t.clock, 20).await.unwrap(), 0, "not again before its time");
    t.clock.advance(Duration::seconds(11));
    mailer.transport = Transport::Files(folder.path().join("mail"));
    assert_eq!(outbox::deliver_due(&t.pool, &t.keyring, &mailer, &t.clock, 20).await.unwrap(), 1);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox").fetch_one(&t.pool).await.unwrap();
    assert_eq!(left, 0);
    assert_eq!(std::fs::read_dir(folder.path().join("mail")).unwrap().count(), 1);
}
