//! Replacing the keys of tokens by the clock, and when the settings name another algorithm. Every node looks, one acts; all hear of it
//! by the feed.

use crate::{
    audit::{self, Entry, Event, Origin},
    platform::{
        db::StoreError,
        keyring::{KeyringError, Purpose, store},
    },
    state::State,
};
use serde_json::json;

pub(super) async fn keep_fresh(state: &State) -> Result<(), StoreError> {
    let mut is_changed = false;
    for purpose in Purpose::ALL.iter().copied().filter(|purpose| purpose.overlap().is_some()) {
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
        let origin = Origin::service();
        let entry = Entry::new(Event::KeysRotated, &origin, None, None).detail(json!({ "purpose": purpose.name(), "by": "schedule" }));
        audit::record(&mut transaction, &state.keyring, now, entry).await?;
        transaction.commit().await?;
        is_changed = true;
    }
    if is_changed && let Err(error) = state.keyring.reload(&state.pool).await {
        tracing::error!(%error, "the keyring cannot be read again");
    }
    Ok(())
}
