//! Tells endpoints: shares events out to them, and sends what is due, each message in a task of its own, so that an endpoint that is slow holds
//! up no other. What came of it is written in one transaction with its audit event, outside of which the attempt itself is: a crash in between
//! makes a second one. Practices 11.signature, 11.https-only, 11.audit.
//! Attacks: `tests/suite/attacks/s11_webhooks/request_forgery.rs`; faults: `tests/cluster/webhooks.rs`.

use crate::{
    accounts::{self, AccountId, Email},
    audit::{self, Entry, Event, Origin, told::told},
    letters::{self, Letter},
    platform::{db::StoreError, outbox},
    state::State,
    webhooks::{
        delivery::{self, Attempt, AttemptOutcome, Claimed, store},
        endpoint::{self, DisabledReason, Endpoint, host_of},
    },
};
use futures_util::future::join_all;
use serde_json::json;
use sqlx::PgConnection;
use std::sync::Arc;
use time::OffsetDateTime;
use tokio::sync::Semaphore;

/// Messages that this node has under way at once.
const AT_ONCE: u32 = 32;

/// Places of messages that are under way.
#[derive(Clone)]
pub(super) struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE as usize)))
    }
}

impl Places {
    /// Waits until nothing is under way, and lets nothing begin.
    pub(super) async fn close(&self) {
        let _all = self.0.acquire_many(AT_ONCE).await;
        self.0.close();
    }
}

/// Shares out what waits, and begins to send as much as there are places for.
pub(super) async fn round(state: &State, places: &Places) -> Result<(), StoreError> {
    while share_out(state).await? {}
    let free = places.0.available_permits();
    if free == 0 {
        return Ok(());
    }
    let most = i64::try_from(free).unwrap_or_default();
    let claimed = store::claim(&mut *state.pool.acquire().await?, state.clock.now(), most).await?;
    for message in claimed {
        // only this job takes places; while it stops none is left, and the lease gives the message to others
        let Ok(place) = Arc::clone(&places.0).try_acquire_owned() else { break };
        let state = state.clone();
        tokio::spawn(async move {
            deliver(&state, message).await;
            drop(place);
            state.webhook_waits.notify_one();
        });
    }
    Ok(())
}

/// The same until nothing is due: for tests that move the clock.
pub(super) async fn run_all(state: &State) -> Result<(), StoreError> {
    while share_out(state).await? {}
    loop {
        let claimed = store::claim(&mut *state.pool.acquire().await?, state.clock.now(), AT_ONCE.into()).await?;
        if claimed.is_empty() {
            return Ok(());
        }
        join_all(claimed.into_iter().map(|message| deliver(state, message))).await;
    }
}

/// One batch of events, to all endpoints that want them. `false`: there was none.
async fn share_out(state: &State) -> Result<bool, StoreError> {
    let (now, mut transaction) = (state.clock.now(), state.pool.begin().await?);
    let ids = store::take_queue(&mut transaction).await?;
    if ids.is_empty() {
        return Ok(false);
    }
    let events = told(&mut transaction, &ids).await?;
    for listener in store::lock_listeners(&mut transaction).await? {
        let wanted = events.iter().filter(|told| delivery::wants(listener.events.as_deref(), &told.event));
        let made = wanted.zip(listener.next_sequence..).map(|(told, sequence)| delivery::tell(told, sequence)).collect::<Result<Vec<_>, _>>()?;
        store::insert(&mut transaction, listener.id, &made, now).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

async fn deliver(state: &State, message: Claimed) {
    if let Err(error) = try_deliver(state, &message).await {
        // its lease gives it back
        tracing::warn!(delivery = %message.id, %error, "what came of a message to a webhook endpoint was not written down");
    }
}

async fn try_deliver(state: &State, message: &Claimed) -> Result<(), StoreError> {
    let now = state.clock.now();
    let keys = endpoint::store::keys_of(&mut *state.pool.acquire().await?, message.endpoint_id, now).await?;
    let attempt = delivery::attempt(&state.fenced, &state.keyring, &keys, message, now).await;
    metrics::counter!("portcullis_webhook_attempts_total", "outcome" => attempt.outcome.name()).increment(1);
    metrics::histogram!("portcullis_webhook_attempt_seconds").record(attempt.took);
    let mut transaction = state.pool.begin().await?;
    settle(&mut transaction, state, message, &attempt).await?;
    transaction.commit().await?;
    state.letter_waits.notify_one();
    Ok(())
}

/// Behind the endpoint's lock, as everything that gives or takes deliveries.
async fn settle(connection: &mut PgConnection, state: &State, message: &Claimed, attempt: &Attempt) -> Result<(), StoreError> {
    let now = state.clock.now();
    let Some(found) = endpoint::store::lock(connection, message.endpoint_id).await? else { return Ok(()) };
    let is_delivered = attempt.outcome == AttemptOutcome::Delivered;
    // whoever is at an address that the endpoint had gives up nothing for the one that it has now
    let has_moved = found.url != message.url;
    let is_over = !has_moved && (attempt.outcome == AttemptOutcome::Gone || message.tried >= state.settings.webhook_endpoints.attempts);
    let end = match (is_delivered, is_over) {
        (true, _) => ("delivered", None),
        (false, true) => ("given_up", None),
        (false, false) if has_moved => ("waiting", Some(now)),
        (false, false) => ("waiting", Some(now + delivery::pause(message.tried, attempt.retry_after))),
    };
    if !store::settle(connection, message, attempt, end, now).await? {
        return Ok(());
    }
    let event = match (is_delivered, is_over) {
        (true, _) => Some(Event::WebhookDelivered),
        (false, true) => Some(Event::WebhookGivenUp),
        // the others are in the log of deliveries: a receiver that is away must not fill this one
        (false, false) => (message.tried == 1).then_some(Event::WebhookDeliveryFailed),
    };
    if let Some(event) = event {
        let origin = Origin::service();
        let entry = Entry::new(event, &origin, None, None).detail(json!({
            "endpoint": message.endpoint_id, "delivery": message.id, "type": message.event,
            "reason": (!is_delivered).then(|| attempt.outcome.name()), "status": attempt.status, "try": message.attempts,
        }));
        let entry = if is_delivered { entry } else { entry.refused() };
        audit::record(connection, &state.keyring, now, entry).await?;
    }
    if has_moved { Ok(()) } else { judge(connection, state, &found, attempt.outcome, now).await }
}

/// Whether the endpoint is to be told anything more.
async fn judge(
    connection: &mut PgConnection,
    state: &State,
    found: &Endpoint,
    outcome: AttemptOutcome,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    if outcome == AttemptOutcome::Delivered {
        if found.failing_since.is_some() {
            endpoint::store::set_failing(connection, found.id, None).await?;
        }
        return Ok(());
    }
    // the fault is ours
    if outcome == AttemptOutcome::Unsigned {
        return Ok(());
    }
    let since = found.failing_since.unwrap_or(now);
    if found.failing_since.is_none() {
        endpoint::store::set_failing(connection, found.id, Some(now)).await?;
    }
    let reason = match outcome {
        AttemptOutcome::Gone => DisabledReason::Gone,
        _ if now - since >= state.settings.webhook_endpoints.failing => DisabledReason::Failing,
        _ => return Ok(()),
    };
    if found.disabled_at.is_some() {
        return Ok(());
    }
    endpoint::store::disable(connection, found.id, reason, now).await?;
    let (origin, host) = (Origin::service(), host_of(&found.url));
    let detail = json!({ "endpoint": found.id, "host": host, "reason": reason.name() });
    audit::record(connection, &state.keyring, now, Entry::new(Event::WebhookEndpointDisabled, &origin, None, None).detail(detail)).await?;
    metrics::counter!("portcullis_webhook_endpoints_disabled_total", "reason" => reason.name()).increment(1);
    tracing::warn!(endpoint = %found.id, reason = reason.name(), "a webhook endpoint was disabled");
    tell_maker(connection, state, found, now).await
}

/// Whoever made it, while they are here.
async fn tell_maker(connection: &mut PgConnection, state: &State, found: &Endpoint, now: OffsetDateTime) -> Result<(), StoreError> {
    let Some(maker) = found.created_by else { return Ok(()) };
    let Some(account) = accounts::store::find_own(connection, AccountId(maker)).await? else { return Ok(()) };
    let Ok(email) = Email::parse(&account.email) else { return Ok(()) };
    let mail = letters::write(&email, &state.settings.public_url, Letter::WebhookDisabled(&found.name));
    outbox::enqueue(connection, &state.keyring, now, &mail, None).await
}
