//! Erasing people whose time has come: the account goes with everything that belongs to it, and their key, so that what the audit
//! log keeps about them is anonymous. One transaction a person: a crash erases somebody wholly or not yet.

use crate::{
    accounts::{AccountId, Email, store},
    audit::{self, Entry, Event, Origin, subject_key},
    letters::{self, Letter},
    platform::{db::StoreError, outbox},
    state::State,
};
use sqlx::PgConnection;

pub(super) async fn erase_due(state: &State) -> Result<(), StoreError> {
    loop {
        let mut transaction = state.pool.begin().await?;
        let Some((account, email)) = store::next_to_erase(&mut transaction, state.clock.now()).await? else { return Ok(()) };
        erase(&mut transaction, state, account, &email).await?;
        transaction.commit().await?;
        state.letter_waits.notify_one();
    }
}

async fn erase(connection: &mut PgConnection, state: &State, account: AccountId, email: &Email) -> Result<(), StoreError> {
    let now = state.clock.now();
    let entry_origin = Origin::service();
    audit::record(connection, &state.keyring, now, Entry::new(Event::AccountErased, &entry_origin, None, Some(account.0))).await?;
    subject_key::forget(connection, account.0).await?;
    store::erase(connection, account, email).await?;
    outbox::enqueue(connection, &state.keyring, now, &letters::write(email, &state.settings.public_url, Letter::Erased), None).await
}
