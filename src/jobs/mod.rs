//! What runs by the clock. Jobs that a node must not do while another one does hold an advisory lock; letters are shared out row
//! by row instead, so that nodes send in parallel. A round that fails is logged, counted and tried again; nothing here holds a
//! request up.

mod alerts;
mod erasure;
mod export;
mod gauges;
mod inbox;
mod keys;
mod purge;
mod webhooks;

use crate::{
    audit::chain::{self, Memory},
    edge::rate_limit::{self, buckets::Buckets},
    platform::{
        db::{self, StoreError},
        mail::Mailer,
        outbox,
    },
    sessions::feed::Feed,
    state::State,
};
use futures_util::FutureExt;
use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::postgres::PgConnectOptions;
use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::MissedTickBehavior,
};

/// A letter of another node, or one whose time has come, waits at most this long.
const LETTER_ROUND: Duration = Duration::from_secs(1);
/// How often marks of use are written.
const SEEN_ROUND: Duration = Duration::from_secs(5);
/// How often what was refused is looked at.
const ALERT_ROUND: Duration = Duration::from_secs(5);
/// How often exports of other nodes are looked for.
const EXPORT_ROUND: Duration = Duration::from_secs(5);
/// How often webhooks of other nodes, and those whose time has come, are looked for.
const INBOX_ROUND: Duration = Duration::from_secs(1);
/// How often a Redis that is away is looked for.
const REDIS_ROUND: Duration = Duration::from_secs(1);
/// Events wait at most this long to be told to endpoints.
const WEBHOOK_ROUND: Duration = Duration::from_secs(1);
/// How often events are chained: so long one can be changed unseen.
const CHAIN_ROUND: Duration = Duration::from_secs(2);
/// How often accounts to erase, expired rows and buckets are looked for.
const PURGE_ROUND: Duration = Duration::from_secs(60);
/// How often the metrics recorder tidies its histograms and gauges are set.
const METRICS_ROUND: Duration = Duration::from_secs(5);

/// The running jobs.
pub struct Jobs {
    state: State,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    places: webhooks::Places,
}

impl Jobs {
    /// Starts them on this thread's runtime.
    #[must_use]
    pub fn start(state: &State, mailer: Mailer, feed: watch::Receiver<PgConnectOptions>, buckets: Buckets, recorder: PrometheusHandle) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (mailer, memory, places) = (Arc::new(mailer), Arc::new(Memory::default()), webhooks::Places::default());
        let under_way = places.clone();
        let schedule = |name, period, wake: Option<&Arc<Notify>>| Schedule { name, period, wake: wake.cloned(), stopped: stopped.clone() };
        let State { pool, revocations, keyring, clock, .. } = state.clone();
        let feed = Feed { options: feed, pool, revocations, keyring, clock };
        let tasks = vec![
            tokio::spawn(feed.run(stopped.clone())),
            schedule("letters", LETTER_ROUND, Some(&state.letter_waits)).run(state, move |state| {
                let mailer = Arc::clone(&mailer);
                async move {
                    while outbox::deliver_due(&state.pool, &state.keyring, &mailer, &state.clock, state.settings.mail_attempts).await? > 0 {}
                    Ok(())
                }
            }),
            schedule("seen", SEEN_ROUND, None).run(state, |state| async move {
                state.seen.write(&state.pool, state.settings.sessions.idle).await?;
                state.keys_used.write(&state.pool).await?;
                Ok(())
            }),
            schedule("exports", EXPORT_ROUND, Some(&state.export_waits))
                .run(state, |state| async move { alone(&state, "exports", export::make_all(&state)).await }),
            schedule("inbox", INBOX_ROUND, Some(&state.inbox_waits)).run(state, |state| async move { inbox::work(&state).await }),
            schedule("alerts", ALERT_ROUND, None).run(state, |state| async move {
                state.signals.write(&state.pool).await?;
                alone(&state, "alerts", alerts::look(&state)).await
            }),
            schedule("audit_chain", CHAIN_ROUND, None).run(state, move |state| {
                let memory = Arc::clone(&memory);
                async move { alone(&state, "audit_chain_round", chain::append(&state.pool, &state.keyring, &state.clock, &memory)).await }
            }),
            schedule("webhooks", WEBHOOK_ROUND, Some(&state.webhook_waits)).run(state, move |state| {
                let places = places.clone();
                async move { webhooks::round(&state, &places).await }
            }),
            schedule("erasures", PURGE_ROUND, None).run(state, |state| async move { alone(&state, "erasures", erasure::erase_due(&state)).await }),
            schedule("purges", PURGE_ROUND, None).run(state, |state| async move { alone(&state, "purges", purge::purge(&state)).await }),
            schedule("keys", PURGE_ROUND, None).run(state, |state| async move { alone(&state, "keys", keys::keep_fresh(&state)).await }),
            schedule("buckets", PURGE_ROUND, None).run(state, move |state| {
                buckets.forget_full();
                rate_limit::forget_old(&state);
                std::future::ready(Ok(()))
            }),
            schedule("redis", REDIS_ROUND, None).run(state, |state| async move {
                if let Some(redis) = &state.redis {
                    redis.probe().await;
                }
                Ok(())
            }),
            schedule("metrics", METRICS_ROUND, None).run(state, move |state| {
                recorder.run_upkeep();
                async move { gauges::measure(&state).await }
            }),
        ];
        Self { state: state.clone(), stop, tasks, places: under_way }
    }

    /// Lets each job finish the round that it is in, and writes what only this process knows.
    pub async fn stop(self) {
        // nobody listens any more when the jobs have ended already
        let _ = self.stop.send(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a job ended badly");
            }
        }
        self.places.close().await;
        if let Err(error) = self.state.signals.write(&self.state.pool).await {
            tracing::warn!(%error, "the last marks of refusals were not written");
        }
        if let Err(error) = self.state.seen.write(&self.state.pool, self.state.settings.sessions.idle).await {
            tracing::warn!(%error, "the last marks of use were not written");
        }
        if let Err(error) = self.state.keys_used.write(&self.state.pool).await {
            tracing::warn!(%error, "the last marks of use of keys were not written");
        }
    }
}

/// One round of everything that a minute brings, now: for tests that move the clock.
///
/// # Errors
/// What the first job that fails fails with.
pub async fn run_all(state: &State) -> Result<(), StoreError> {
    state.seen.write(&state.pool, state.settings.sessions.idle).await?;
    state.keys_used.write(&state.pool).await?;
    state.signals.write(&state.pool).await?;
    alerts::look(state).await?;
    export::make_all(state).await?;
    inbox::work(state).await?;
    erasure::erase_due(state).await?;
    keys::keep_fresh(state).await?;
    purge::purge(state).await?;
    webhooks::run_all(state).await?;
    chain::append(&state.pool, &state.keyring, &state.clock, &Memory::default()).await
}

async fn alone(state: &State, name: &str, work: impl Future<Output = Result<(), StoreError>> + Send) -> Result<(), StoreError> {
    db::exclusively(&state.pool, name, work).await.map(drop)
}

struct Schedule {
    name: &'static str,
    period: Duration,
    wake: Option<Arc<Notify>>,
    stopped: watch::Receiver<bool>,
}

impl Schedule {
    fn run<F: Future<Output = Result<(), StoreError>> + Send>(self, state: &State, round: impl Fn(State) -> F + Send + 'static) -> JoinHandle<()> {
        let Self { name, period, wake, mut stopped } = self;
        let (state, wake) = (state.clone(), wake.unwrap_or_default());
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut is_known_failing = false;
            loop {
                tokio::select! {
                    _ = stopped.changed() => return,
                    _ = ticks.tick() => {}
                    () = wake.notified() => {}
                }
                let begun = Instant::now();
                // a round that panics is one that failed: the next one comes
                let done = AssertUnwindSafe(round(state.clone())).catch_unwind().await;
                let outcome = match done.unwrap_or_else(|_| Err(StoreError::Broken("a round of a job panicked: the log has where"))) {
                    Ok(()) => {
                        if std::mem::take(&mut is_known_failing) {
                            tracing::info!(job = name, "the job works again");
                        }
                        "ok"
                    }
                    Err(error) => {
                        // an outage fails a round a second: the first one says it
                        if std::mem::replace(&mut is_known_failing, true) {
                            tracing::debug!(job = name, %error, "a round of a job failed again");
                        } else {
                            tracing::warn!(job = name, %error, "a round of a job failed, will try again");
                        }
                        "failed"
                    }
                };
                metrics::histogram!("portcullis_job_round_seconds", "job" => name, "outcome" => outcome).record(begun.elapsed());
            }
        })
    }
}
