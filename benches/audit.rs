//! What the audit log costs a write, and what its chainer costs on top: `cargo bench --bench audit`. A private Postgres with its ordinary
//! settings (every commit reaches the disk), one run, rounds of each kind in turn; what counts are the ratios of their medians.

use portcullis::{
    accounts::{self, Account, Email, Name},
    audit::{
        self, Entry, Event, Origin,
        chain::{self, Memory},
    },
    platform::{
        clock::Clock,
        crypto, db,
        keyring::{KeyBytes, Keyring, signing::Algorithm},
        local_postgres::LocalPostgres,
    },
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool, postgres::PgConnectOptions};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use uuid::Uuid;

const WRITERS: usize = 16;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(4);
/// As the service does it.
const CHAIN_ROUND: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Unaudited,
    Unqueued,
    Unchained,
    Chained,
}

#[derive(Clone)]
struct Bench {
    pool: PgPool,
    keyring: Keyring,
    clock: Clock,
    accounts: Vec<Uuid>,
    memory: Arc<Memory>,
    owner: PgConnectOptions,
}

impl Bench {
    async fn start(cluster: &LocalPostgres) -> Self {
        let mut superuser = PgConnection::connect_with(&cluster.superuser()).await.unwrap();
        // an earlier run's has keys that are gone
        superuser.execute("DROP DATABASE IF EXISTS bench").await.unwrap();
        superuser.execute("CREATE DATABASE bench OWNER portcullis_owner").await.unwrap();
        let (owner, runtime) = (cluster.owner().database("bench"), cluster.runtime().database("bench"));
        db::migrate(&owner).await.unwrap();
        // two more for the chainer
        let (clock, pool) = (Clock::system(), db::pool(runtime, WRITERS as u32 + 2));
        let keyring = Keyring::open(&pool, &KeyBytes::new(crypto::random()), Algorithm::EdDsa, clock.now()).await.unwrap();
        let mut accounts = Vec::new();
        for n in 0..WRITERS {
            let account = Account::new(&Email::parse(&format!("{n}@example.org")).unwrap(), &Name::parse("Ada").unwrap(), clock.now());
            accounts::store::insert(&mut pool.acquire().await.unwrap(), &account).await.unwrap();
            accounts.push(account.id.0);
        }
        Self { pool, keyring, clock, accounts, memory: Arc::default(), owner }
    }

    /// A short change of one's own account, as most audited writes are.
    async fn write(&self, account: Uuid, kind: Kind) {
        let now = self.clock.now();
        let mut transaction = self.pool.begin().await.unwrap();
        let changed = sqlx::query("UPDATE users SET updated_at = $2 WHERE id = $1").bind(account).bind(now);
        changed.execute(&mut *transaction).await.unwrap();
        if kind != Kind::Unaudited {
            let origin = Origin { request: None, address: Some([192, 0, 2, 1].into()), device: "Firefox on Linux".into(), key: None };
            audit::record(&mut transaction, &self.keyring, now, Entry::own(Event::ProfileChanged, &origin, account)).await.unwrap();
        }
        transaction.commit().await.unwrap();
    }

    async fn drain(&self) {
        chain::append(&self.pool, &self.keyring, &self.clock, &self.memory).await.unwrap();
    }

    /// Writes a second.
    async fn round(&self, kind: Kind) -> f64 {
        self.drain().await;
        let trigger = if kind == Kind::Unqueued { "DISABLE" } else { "ENABLE" };
        let mut owner = PgConnection::connect_with(&self.owner).await.unwrap();
        let toggled = owner.execute(AssertSqlSafe(format!("ALTER TABLE audit_events {trigger} TRIGGER audit_events_queue"))).await;
        toggled.unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let writers = self.accounts.iter().map(|account| {
            let (bench, is_over, account) = (self.clone(), is_over.clone(), *account);
            tokio::spawn(async move {
                let mut done = 0_u32;
                while !is_over.load(Ordering::Relaxed) {
                    bench.write(account, kind).await;
                    done += 1;
                }
                done
            })
        });
        let writers: Vec<_> = writers.collect();
        let begun = Instant::now();
        let mut ticks = tokio::time::interval(CHAIN_ROUND);
        while begun.elapsed() < ROUND {
            ticks.tick().await;
            if kind == Kind::Chained {
                self.drain().await;
            }
        }
        let took = begun.elapsed();
        is_over.store(true, Ordering::Relaxed);
        let mut done = 0;
        for writer in writers {
            done += writer.await.unwrap();
        }
        f64::from(done) / took.as_secs_f64()
    }
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

#[tokio::main]
async fn main() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench_audit");
    let cluster = LocalPostgres::start(&folder, &[]).await.expect("a private Postgres");
    let bench = Bench::start(&cluster).await;
    let kinds = [Kind::Unaudited, Kind::Unqueued, Kind::Unchained, Kind::Chained];
    let mut rates = [vec![], vec![], vec![], vec![]];
    for round in 0..=ROUNDS {
        for (kind, rates) in kinds.into_iter().zip(&mut rates) {
            let rate = bench.round(kind).await;
            // the first one warms up
            if round > 0 {
                rates.push(rate);
            }
        }
    }
    bench.drain().await;
    let [unaudited, unqueued, unchained, chained] = rates.map(median);
    println!("writes without an event       {unaudited:8.0} a second");
    println!("with an event, unchained      {unqueued:8.0} a second: {:.2} of that", unqueued / unaudited);
    println!("with a row in the queue       {unchained:8.0} a second: {:.2} of an unchained event", unchained / unqueued);
    println!(
        "with the chainer at work      {chained:8.0} a second: {:.2} of an unchained event, {:.2} of an idle chainer",
        chained / unqueued,
        chained / unchained
    );
    let mut connection = bench.pool.acquire().await.unwrap();
    let begun = Instant::now();
    // those without a row in the queue are damage
    let found = chain::verify::verify(&mut connection, &bench.keyring, None, |_| {}).await.unwrap();
    println!("{} events verified, {:.0} a second", found.links, found.links as f64 / begun.elapsed().as_secs_f64());
}
