//! Two at once, and a delivery that fails: nothing is lost, nothing is half done.

use crate::support::{TestDatabase, app::TestApp, log::Memory};
use metrics_exporter_prometheus::PrometheusBuilder;
use portcullis::platform::{
    db,
    mail::{Mail, Mailer, Transport},
    outbox,
    telemetry::{LogFormat, subscriber},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use time::Duration;
use tracing_subscriber::EnvFilter;

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

/// The jobs of this application run on the test's thread, so that what they count and log is nobody else's.
#[actix_web::test]
async fn an_outage_of_the_database_is_told_and_counted_once() {
    let (memory, recorder) = (Memory::default(), PrometheusBuilder::new().build_recorder());
    let writer = memory.clone();
    let _counted = metrics::set_default_local_recorder(&recorder);
    let _logged = tracing::subscriber::set_default(
        subscriber(LogFormat::Json, EnvFilter::new("portcullis=debug"), false, move || writer.clone(), None).unwrap(),
    );
    let app = TestApp::start().await;
    app.wait_for("the feed", async || app.state.revocations.is_trusted().then_some(())).await;
    let mut superuser = PgConnection::connect_with(&app.database.superuser).await.unwrap();
    let name = app.database.owner.get_database().unwrap().to_owned();
    // the name is the suite's own
    superuser.execute(AssertSqlSafe(format!("ALTER DATABASE {name} CONNECTION LIMIT 0"))).await.unwrap();
    let cut = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    superuser.execute(AssertSqlSafe(cut)).await.unwrap();

    let told = |level: &str| {
        let (level, job) = (format!("\"level\":\"{level}\""), "\"job\":\"letters\"");
        memory.text().lines().filter(|line| line.contains(&level) && line.contains(job)).count()
    };
    app.wait_for("rounds that fail", async || (told("WARN") + told("DEBUG") >= 3).then_some(())).await;
    superuser.execute(AssertSqlSafe(format!("ALTER DATABASE {name} CONNECTION LIMIT -1"))).await.unwrap();
    app.wait_for("recovery", async || (told("INFO") > 0 && app.state.revocations.is_trusted()).then_some(())).await;
    let failed = told("WARN") + told("DEBUG");
    assert_eq!((told("WARN"), told("INFO")), (1, 1), "{}", memory.text());

    let metrics = recorder.handle().render();
    assert!(metrics.contains("portcullis_feed_losses_total 1\n"), "{metrics}");
    let counted = format!("portcullis_job_round_seconds_count{{job=\"letters\",outcome=\"failed\"}} {failed}\n");
    assert!(metrics.contains(&counted), "{counted}{metrics}");
}

/// Around a failover the connection may lead to a server that only reads: changes are refused and said to be worth another try, reads go on.
#[actix_web::test]
async fn a_server_that_only_reads_is_away_for_changes() {
    let app = TestApp::start().await;
    let ada = app.member("ada@example.org").await;
    let name = app.database.feed.get_database().unwrap().to_owned();
    let mut superuser = PgConnection::connect_with(&app.database.superuser).await.unwrap();
    let mut only_reads = async |setting: &str| {
        superuser.execute(AssertSqlSafe(format!("ALTER DATABASE {name} SET default_transaction_read_only = {setting}"))).await.unwrap();
        let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
        superuser.execute(AssertSqlSafe(end)).await.unwrap();
    };
    let register = async || app.visitor().post("/v1/auth/register", serde_json::json!({ "email": "bob@example.org" })).await;
    only_reads("on").await;
    let refused = register().await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "5"), "{}", refused.text);
    assert_eq!(ada.get("/v1/me").await.status, 200);
    only_reads("off").await;
    assert_eq!(register().await.status, 202);
}
