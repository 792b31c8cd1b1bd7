//! Forgetting what has expired, in small batches by an index each, so that no purge holds anything up.

use crate::{
    access,
    accounts::{export, proof},
    audit::alerts,
    credentials::{api_key, challenge},
    documents,
    edge::rate_limit,
    platform::{db::StoreError, outbox},
    sessions,
    state::State,
    webhooks::{delivery, endpoint, inbound},
};
use time::Duration;

/// Rows of one statement.
const BATCH: i64 = 1000;
/// Ended sessions and proofs are kept this long, so that "what happened yesterday" has an answer.
const KEPT: Duration = Duration::days(7);
/// Dead letters are kept this long for an operator.
const DEAD_LETTERS_KEPT: Duration = Duration::days(30);

/// Longer than the window of any pattern of alerts.
const SIGNALS_KEPT: Duration = Duration::hours(2);

/// Runs a purge until it finds less than a batch, and counts what went.
macro_rules! purge_all {
    ($state:expr, $name:literal, $purge:expr, $before:expr) => {
        loop {
            let gone = $purge(&mut *$state.pool.acquire().await?, $before, BATCH).await?;
            metrics::counter!("portcullis_purged_total", "rows" => $name).increment(gone);
            if gone < BATCH.unsigned_abs() {
                break;
            }
        }
    };
}

pub(super) async fn purge(state: &State) -> Result<(), StoreError> {
    let now = state.clock.now();
    // a "this was not me" link goes with its session
    purge_all!(state, "sessions", sessions::store::purge, now - KEPT.max(state.settings.terms.undo));
    purge_all!(state, "refresh_tokens", sessions::refresh::store::purge, now - KEPT);
    purge_all!(state, "challenges", challenge::store::purge, now);
    purge_all!(state, "api_keys", api_key::store::purge, now - KEPT);
    purge_all!(state, "proofs", proof::store::purge, now - KEPT);
    purge_all!(state, "quota_windows", rate_limit::store::purge, now);
    purge_all!(state, "alert_signals", alerts::store::purge, now - SIGNALS_KEPT);
    purge_all!(state, "alerts", alerts::store::purge_ended, now);
    purge_all!(state, "role_assignments", access::store::purge, now);
    purge_all!(state, "exports", export::store::purge, now);
    purge_all!(state, "documents", documents::store::purge, now - state.settings.documents.keep_deleted);
    purge_all!(state, "webhooks", inbound::store::purge, now - state.settings.inbound.kept);
    purge_all!(state, "webhook_deliveries", delivery::store::purge, now - state.settings.webhook_endpoints.kept);
    purge_all!(state, "webhook_secrets", endpoint::store::purge_keys, now);
    purge_all!(state, "dead_letters", outbox::purge, now - DEAD_LETTERS_KEPT);
    Ok(())
}
