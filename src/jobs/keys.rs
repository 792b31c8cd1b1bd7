//! Replacing keys by the clock, and when the settings name another algorithm; sealing anew what hangs on retired keys, and ending keys on
//! which nothing hangs any more. Every node looks, one acts; all hear of it by the feed.
//! Practice 9.rotate. Tests: `tests/suite/journeys/rotation.rs`.

use crate::{
    audit::{self, Entry, Event, Origin},
    platform::{
        db::StoreError,
        keyring::{KeyringError, Purpose, rows, store},
    },
    state::State,
};
use serde_json::json;
use sqlx::PgConnection;

/// Batches of one round and purpose: whoever stops the service waits for no more than these.
const BATCHES: usize = 100;

pub(super) async fn keep_fresh(state: &State) -> Result<(), StoreError> {
    match store::ensure_opens(&mut *state.pool.acquire().await?, state.keyring.key_encryption()).await {
        Ok(()) => {}
        Err(KeyringError::Database(error)) => return Err(error.into()),
        Err(error) => {
            tracing::error!(%error, "keys were left to the other nodes");
            return Ok(());
        }
    }
    let mut is_changed = false;
    for purpose in Purpose::ALL.iter().copied().filter(|purpose| purpose.is_scheduled()) {
        let (algorithm, longest, now) = (state.settings.token_algorithm, state.settings.key_rotation, state.clock.now());
        let mut transaction = state.pool.begin().await?;
        match store::keep_fresh(&mut transaction, &state.keyring, purpose, algorithm, longest, now).await {
            Ok(false) => continue,
            Ok(true) => {}
            Err(KeyringError::Database(error)) => return Err(error.into()),
            Err(error) => {
                tracing::error!(purpose = purpose.name(), %error, "keys were not replaced");
                continue;
            }
        }
        record(state, &mut transaction, Event::KeysRotated, purpose).await?;
        transaction.commit().await?;
        is_changed = true;
    }
    is_changed |= clear_up(state).await?;
    if is_changed && let Err(error) = state.keyring.reload(&state.pool).await {
        tracing::error!(%error, "the keyring cannot be read again");
    }
    Ok(())
}

/// What retired keys leave: their rows move to the active key, and they end.
async fn clear_up(state: &State) -> Result<bool, StoreError> {
    let mut is_changed = false;
    for purpose in Purpose::ALL.iter().copied().filter(|purpose| !state.keyring.retired(*purpose).is_empty()) {
        let walk = rows::reseal(&state.pool, &state.keyring, purpose, (BATCHES, rows::BATCH), |_| {}).await?;
        if walk.unreadable > 0 {
            tracing::error!(purpose = purpose.name(), rows = walk.unreadable, "rows do not open: they were altered, and their key cannot end");
        }
        let mut transaction = state.pool.begin().await?;
        if rows::end_idle(&mut transaction, purpose, state.clock.now()).await? > 0 {
            record(state, &mut transaction, Event::KeysRetired, purpose).await?;
            is_changed = true;
        }
        transaction.commit().await?;
    }
    Ok(is_changed)
}

async fn record(state: &State, connection: &mut PgConnection, event: Event, purpose: Purpose) -> Result<(), StoreError> {
    let origin = Origin::service();
    let entry = Entry::new(event, &origin, None, None).detail(json!({ "purpose": purpose.name(), "by": "schedule" }));
    audit::record(connection, &state.keyring, state.clock.now(), entry).await
}
