//! Somebody else's access token becomes a [`Principal`]: the account that its issuer's subject is linked to, and with a setting one that is
//! made for it. There is no session behind it. An account with a second factor is not opened by less.
//! Practice 1.third-party. Attacks: `tests/suite/attacks/s10_access_control/foreign_tokens.rs`.

use crate::{
    access::{Principal, Transport},
    accounts::{self, Account, AccountId},
    audit::{self, Entry, Event, Origin},
    credentials::{
        federation::{
            FederationError, Identified, OutsideToken,
            store::{self, Linked},
        },
        second_factor::store::factors,
    },
    error::{ApiError, ErrorCode, StepUp},
    platform::{crypto, db},
    state::State,
};
use serde_json::json;
use time::OffsetDateTime;

/// Whom the token speaks for.
pub(super) async fn verify(state: &State, token: &str) -> Result<Principal, ApiError> {
    let now = state.clock.now();
    let OutsideToken { identified, session, assurance, provision } = state.federation.verify_outside(token, now).await.map_err(refused)?;
    let mut found = find(state, &identified).await?;
    if found.is_none() && provision && state.settings.open_registration {
        make(state, &identified).await?;
        // also where another call was faster
        found = find(state, &identified).await?;
    }
    let account = found.ok_or_else(|| ApiError::new(ErrorCode::InvalidToken))?.account;
    if assurance < 2 && factors(&mut *state.pool.acquire().await?, account).await?.is_on() {
        return Err(ApiError::step_up(StepUp { assurance: 2, max_age: None }));
    }
    // a token that does not say so proves nothing about when
    let authenticated_at = identified.proven_at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    Ok(Principal { account, session, transport: Transport::Outside, assurance, authenticated_at })
}

fn refused(error: FederationError) -> ApiError {
    match error {
        FederationError::Refused(_) => ApiError::new(ErrorCode::InvalidToken),
        away @ FederationError::Away(_) => ApiError::unavailable(away),
    }
}

async fn find(state: &State, Identified { issuer, subject, .. }: &Identified) -> Result<Option<Linked>, ApiError> {
    Ok(store::find_active(&mut *state.pool.acquire().await?, issuer, subject).await?)
}

/// An account for somebody new, whose address the issuer has verified and nobody here has.
async fn make(state: &State, identified: &Identified) -> Result<(), ApiError> {
    let now = state.clock.now();
    let Some((email, name)) = identified.email.as_ref().and_then(|email| Some((email, identified.name_for(email)?))) else { return Ok(()) };
    let account = Account::new(email, &name, now);
    let AccountId(owner) = account.id;
    let mut transaction = state.pool.begin().await?;
    match accounts::store::insert(&mut transaction, &account).await {
        Err(error) if db::violates(&error, "users_email_unique") => return Ok(()),
        done => done?,
    }
    let id = crypto::uuid_v7(now);
    if !store::link(&mut transaction, id, owner, &identified.issuer, &identified.subject, now).await? {
        return Ok(());
    }
    accounts::proof::store::end_registrations(&mut transaction, email, now).await?;
    let origin = Origin::service();
    let detail = json!({ "identity": id, "issuer": identified.issuer });
    for entry in
        [Entry::own(Event::AccountCreated, &origin, owner).email(email.as_str()), Entry::own(Event::IdentityLinked, &origin, owner).detail(detail)]
    {
        audit::record(&mut transaction, &state.keyring, now, entry).await?;
    }
    Ok(transaction.commit().await?)
}
