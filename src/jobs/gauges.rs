//! Measures for operators what no request tells: how full the pool of connections is, how old the feed, the outbox, the
//! inbox and the queue of the audit chain are.
//! Practice 8.alerts. Tests: `tests/suite/contract/metrics.rs`.

use crate::{
    audit::chain,
    platform::{
        db::StoreError,
        outbox::{self, Backlog},
    },
    state::State,
    webhooks::{delivery, inbound},
};
use metrics::{gauge, histogram};
use std::time::Instant;
use time::OffsetDateTime;

#[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
pub(super) async fn measure(state: &State) -> Result<(), StoreError> {
    // first what needs no database
    gauge!("portcullis_revocations_remembered").set(state.revocations.forget_old() as f64);
    gauge!("portcullis_feed_trusted").set(f64::from(u8::from(state.revocations.is_trusted())));
    gauge!("portcullis_feed_age_seconds").set(state.revocations.age().map_or(f64::INFINITY, |age| age.as_secs_f64()));
    gauge!("portcullis_password_hash_queue_limit").set(state.settings.hashing.queue as f64);
    let (size, idle) = (f64::from(state.pool.size()), state.pool.num_idle() as f64);
    // read one after the other: a connection may have come back in between
    gauge!("portcullis_database_connections", "state" => "used").set((size - idle).max(0.0));
    gauge!("portcullis_database_connections", "state" => "idle").set(idle);
    gauge!("portcullis_database_connections_limit").set(f64::from(state.settings.database_connections));

    let age = |oldest: Option<OffsetDateTime>| oldest.map_or(0.0, |oldest| (state.clock.now() - oldest).as_seconds_f64());
    let begun = Instant::now();
    let connection = state.pool.acquire().await;
    histogram!("portcullis_database_acquire_seconds").record(begun.elapsed());
    let mut connection = connection?;
    let Backlog { waiting, dead, oldest } = outbox::backlog(&mut connection).await?;
    gauge!("portcullis_letters_waiting").set(waiting as f64);
    gauge!("portcullis_letters_dead").set(dead as f64);
    gauge!("portcullis_letters_oldest_seconds").set(age(oldest));
    let chain::Backlog { waiting, oldest } = chain::backlog(&mut connection).await?;
    gauge!("portcullis_audit_unchained").set(waiting as f64);
    gauge!("portcullis_audit_unchained_oldest_seconds").set(age(oldest));
    let inbound::store::Backlog { waiting, dead, oldest } = inbound::store::backlog(&mut connection).await?;
    gauge!("portcullis_inbox_waiting").set(waiting as f64);
    gauge!("portcullis_inbox_dead").set(dead as f64);
    gauge!("portcullis_inbox_oldest_seconds").set(age(oldest));
    let delivery::store::Backlog { waiting, oldest } = delivery::store::backlog(&mut connection, state.clock.now()).await?;
    gauge!("portcullis_webhooks_waiting").set(waiting as f64);
    gauge!("portcullis_webhooks_oldest_seconds").set(age(oldest));
    Ok(())
}
