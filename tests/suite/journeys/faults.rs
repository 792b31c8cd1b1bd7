//! Two at once, and a delivery that fails: nothing is lost, nothing is half done.

use crate::support::TestDatabase;
use portcullis::platform::{
    db,
    mail::{Mail, Mailer, Transport},
    outbox,
};
use time::Duration;

/// How many letters wait, how many are dead, and whether one has an age.
async fn backlog(t: &TestDatabase) -> (i64, i64, bool) {
    let backlog = outbox::backlog(&mut t.pool.acquire().await.unwrap()).await.unwrap();
    (backlog.waiting, backlog.dead, backlog.oldest.is_some())
}

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
    outbox::enqueue(&mut t.pool.acquire().await.unwrap(), &t.keyring, t.clock.now(), &mail, None).await.unwrap();
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

#[tokio::test]
async fn a_letter_that_nobody_takes_is_kept_and_not_tried_for_ever_and_one_whose_link_ran_out_is_not_sent() {
    let t = TestDatabase::create().await;
    let mail = Mail { to: "ada@example.org".into(), subject: "Hello".into(), text: "text".into(), html: "<p>text</p>".into() };
    let enqueue = async |until| outbox::enqueue(&mut t.pool.acquire().await.unwrap(), &t.keyring, t.clock.now(), &mail, until).await.unwrap();
    enqueue(None).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("blocked");
    std::fs::write(&file, "").unwrap();
    let mut mailer = Mailer { transport: Transport::Files(file), from: "portcullis@localhost".parse().unwrap() };
    for _ in 0..3 {
        assert_eq!(outbox::deliver_due(&t.pool, &t.keyring, &mailer, &t.clock, 3).await.unwrap(), 1);
        t.clock.advance(Duration::hours(1));
    }
    assert_eq!(outbox::deliver_due(&t.pool, &t.keyring, &mailer, &t.clock, 3).await.unwrap(), 0, "dead");
    assert_eq!(backlog(&t).await, (0, 1, false), "kept for an operator, and counted");
    t.clock.advance(Duration::days(31));
    let kept_since = t.clock.now() - Duration::days(30);
    assert_eq!(outbox::purge(&mut t.pool.acquire().await.unwrap(), kept_since, 10).await.unwrap(), 1);

    enqueue(Some(t.clock.now() + Duration::minutes(15))).await;
    t.clock.advance(Duration::minutes(15));
    mailer.transport = Transport::Files(folder.path().join("mail"));
    assert_eq!(outbox::deliver_due(&t.pool, &t.keyring, &mailer, &t.clock, 3).await.unwrap(), 1);
    assert!(!folder.path().join("mail").exists(), "not sent");
    assert_eq!(backlog(&t).await, (0, 0, false));
}

#[tokio::test]
async fn of_two_nodes_one_does_what_must_be_done_alone() {
    let t = TestDatabase::create().await;
    let (entered, gate) = (tokio::sync::Notify::new(), tokio::sync::Notify::new());
    let slow = db::exclusively(&t.pool, "a job", async {
        entered.notify_one();
        gate.notified().await;
        Ok::<_, sqlx::Error>(1)
    });
    let fast = async {
        entered.notified().await;
        let meanwhile = db::exclusively(&t.pool, "a job", async { Ok::<_, sqlx::Error>(2) }).await.unwrap();
        let another = db::exclusively(&t.pool, "another job", async { Ok::<_, sqlx::Error>(3) }).await.unwrap();
        gate.notify_one();
        (meanwhile, another)
    };
    let (first, second) = tokio::join!(slow, fast);
    assert_eq!((first.unwrap(), second), (Some(1), (None, Some(3))));
    assert_eq!(db::exclusively(&t.pool, "a job", async { Ok::<_, sqlx::Error>(4) }).await.unwrap(), Some(4), "free again");
}
