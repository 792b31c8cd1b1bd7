//! The signed-in person's password once more, before what a borrowed browser must not do. A wrong one is what a wrong one at the sign-in
//! is: counted, and a mark for the alerts.
//! Practices 4.brute-force, 4.alert-suspicious. Attacks: `tests/suite/attacks/s04_rate_limits/password_guessing.rs`,
//! `tests/suite/attacks/s04_rate_limits/suspicious_patterns.rs`.

use crate::{
    access::Principal,
    accounts::{self, AccountId},
    api::login::note_wrong_password,
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
    let mut connection = state.pool.acquire().await?;
    audit::record(&mut connection, &state.keyring, state.clock.now(), entry).await?;
    if let Some(own) = accounts::store::find_own(&mut connection, AccountId(principal.account)).await? {
        note_wrong_password(state, caller, &own.email, Some(principal.account));
    }
    Err(ApiError::new(ErrorCode::WrongPassword))
}
