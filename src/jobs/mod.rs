//! What runs by the clock: letters go out, and what has expired is forgotten. A round that fails is logged, counted and tried
//! again; nothing here holds a request up.

use crate::{
    accounts,
    edge::rate_limit::{self, address::AddressQuota},
    platform::{mail::Mailer, outbox},
    sessions,
    state::State,
};
use metrics_exporter_prometheus::PrometheusHandle;
use std::{fmt, future::Future, sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinHandle, time::MissedTickBehavior};

/// A letter of another node, or one whose time has come, waits at most this long.
const LETTER_ROUND: Duration = Duration::from_secs(1);
/// How often expired rows and buckets are looked for.
const PURGE_ROUND: Duration = Duration::from_secs(60);
/// How often the metrics recorder tidies its histograms.
const METRICS_ROUND: Duration = Duration::from_secs(5);
/// Ended sessions and registrations are kept this long, so that "what happened yesterday" has an answer.
const KEPT: time::Duration = time::Duration::days(7);

/// The running jobs.
pub struct Jobs {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Jobs {
    /// Starts them on this thread's runtime.
    #[must_use]
    pub fn start(state: &State, mailer: Mailer, address_quota: AddressQuota, recorder: PrometheusHandle) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mailer = Arc::new(mailer);
        let letters = {
            let state = state.clone();
            every("letters", LETTER_ROUND, stopped.clone(), Some(Arc::clone(&state.letter_waits.clone())), move || {
                let (state, mailer) = (state.clone(), Arc::clone(&mailer));
                async move {
                    while outbox::deliver_due(&state.pool, &state.keyring, &mailer, &state.clock).await? > 0 {}
                    Ok::<_, sqlx::Error>(())
                }
            })
        };
        let purges = {
            let state = state.clone();
            every("purges", PURGE_ROUND, stopped.clone(), None, move || {
                let (state, address_quota) = (state.clone(), address_quota.clone());
                async move {
                    address_quota.forget_full_buckets();
                    purge(&state).await
                }
            })
        };
        let metrics = every("metrics", METRICS_ROUND, stopped, None, move || {
            recorder.run_upkeep();
            std::future::ready(Ok::<_, sqlx::Error>(()))
        });
        Self { stop, tasks: vec![letters, purges, metrics] }
    }

    /// Lets each job finish the round that it is in.
    pub async fn stop(self) {
        // nobody listens any more when the jobs have ended already
        let _ = self.stop.send(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a job ended badly");
            }
        }
    }
}

/// Forgets what has expired.
async fn purge(state: &State) -> Result<(), sqlx::Error> {
    let now = state.clock.now();
    let mut connection = state.pool.acquire().await?;
    let sessions = sessions::store::purge(&mut connection, now - KEPT).await?;
    let registrations = accounts::store::purge_registrations(&mut connection, now - KEPT).await?;
    let counters = rate_limit::store::purge(&mut connection, now).await?;
    if sessions + registrations + counters > 0 {
        tracing::debug!(sessions, registrations, counters, "purged");
    }
    Ok(())
}

fn every<F, E>(
    name: &'static str,
    period: Duration,
    mut stopped: watch::Receiver<bool>,
    wake: Option<Arc<tokio::sync::Notify>>,
    mut round: impl FnMut() -> F + 'static,
) -> JoinHandle<()>
where
    F: Future<Output = Result<(), E>>,
    E: fmt::Display,
{
    tokio::task::spawn_local(async move {
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let wake = wake.unwrap_or_default();
        loop {
            tokio::select! {
                _ = stopped.changed() => return,
                _ = ticks.tick() => {}
                () = wake.notified() => {}
            }
            let outcome = match round().await {
                Ok(()) => "ok",
                Err(error) => {
                    tracing::warn!(job = name, %error, "a round of a job failed, will try again");
                    "failed"
                }
            };
            metrics::counter!("portcullis_job_rounds_total", "job" => name, "outcome" => outcome).increment(1);
        }
    })
}
