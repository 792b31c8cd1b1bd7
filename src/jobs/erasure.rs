//! Erasing people whose time has come: the account goes with everything that belongs to it, and their key, so that what the audit
//! log keeps about them is anonymous. One transaction a person: a crash erases somebody wholly or not yet. One that fails does not
//! hold the others up.

use crate::{
    accounts::{AccountId, Email, store},
    audit::{self, Entry, Event, Origin, subject_key},
    edge::rate_limit::{self, Count, Quota},
    letters::{self, Letter},
    platform::{db::StoreError, outbox},
    state::State,
};
use sqlx::PgConnection;
use uuid::Uuid;

pub(super) async fn erase_due(state: &State) -> Result<(), StoreError> {
    let (mut last, mut failed) = (Uuid::nil(), None);
    loop {
        let mut transaction = state.pool.begin().await?;
        let Some((account, email)) = store::next_to_erase(&mut transaction, state.clock.now(), last).await? else { break };
        last = account.0;
        match erase(&mut transaction, state, account, &email).await {
            Ok(()) => transaction.commit().await?,
            Err(error) => {
                tracing::error!(account = %account.0, %error, "not erased");
                failed = Some(error);
            }
        }
        state.letter_waits.notify_one();
    }
    failed.map_or(Ok(()), Err)
}

async fn erase(connection: &mut PgConnection, state: &State, account: AccountId, email: &str) -> Result<(), StoreError> {
    let (now, origin) = (state.clock.now(), Origin::service());
    audit::record(connection, &state.keyring, now, Entry::new(Event::AccountErased, &origin, None, Some(account.0))).await?;
    subject_key::forget(connection, account.0).await?;
    store::erase(connection, account, email).await?;
    rate_limit::forget(state, connection, Count::of(state, Quota::LoginFailures, &[email])).await?;
    // one that does not parse any more gets no letter, and is erased all the same
    let Ok(email) = Email::parse(email) else { return Ok(()) };
    outbox::enqueue(connection, &state.keyring, now, &letters::write(&email, &state.settings.public_url, Letter::Erased), None).await
}
