//! The signed-in person's password once more, before what a borrowed browser must not do.
//! Practice 4.brute-force. Attacks: `tests/suite/attacks/s04_rate_limits/password_guessing.rs`.

use crate::{
    access::Principal,
    audit::{self, Entry, Event},
    credentials::{
        self,
        password::{Password, StoredHash, Verdict},
    },
    edge::{
        guard::Caller,
        rate_limit::{Count, Quota, give_back, spend},
    },
    error::{ApiError, ErrorCode},
    state::State,
};

/// Checks the current password, within its own quota. Returns the hash that it was checked against.
pub(super) async fn reauthenticate(state: &State, principal: &Principal, caller: &Caller, password: &Password) -> Result<StoredHash, ApiError> {
    let spent = spend(state, &[Count::of(state, Quota::Reauthentication, &[&principal.account.to_string()])]).await?;
    let verified = async {
        let stored = credentials::store::own_password(&mut *state.pool.acquire().await?, principal.account).await?;
        let verdict = state.passwords.verify(password, stored.clone()).await?;
        Ok::<_, ApiError>(stored.filter(|_| matches!(verdict, Verdict::Right { .. })))
    }
    .await;
    if !matches!(verified, Ok(None)) {
        give_back(state, &spent).await?;
    }
    if let Some(stored) = verified? {
        return Ok(stored);
    }
    let entry = Entry::own(Event::ReauthenticationRefused, &caller.origin, principal.account).refused();
    audit::record(&mut *state.pool.acquire().await?, &state.keyring, state.clock.now(), entry).await?;
    Err(ApiError::new(ErrorCode::WrongPassword))
}
