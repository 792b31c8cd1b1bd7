//! Showing, in a session, that one reads the account's mail: the owner's agreement to the first second factor, to other ways in, and to
//! removing a second factor. Whoever has the password, or a session, and not the mailbox, cannot settle in an account that way, nor keep
//! its owner out. Where there is a second factor, that is asked for instead.
//! Practice 10.mfa. Attacks: `tests/suite/attacks/s10_access_control/thiefs_factor.rs`.

use crate::{
    access::Principal,
    accounts::{
        AccountId, Email,
        proof::{self, Claim, Proof, Purpose},
    },
    api::{
        mailed::{self, LetterSent},
        mfa::own_email,
        recovery::check,
        shapes::Code,
    },
    audit::{self, Entry, Event},
    credentials::second_factor::store::factors,
    edge::{
        guard::{Fresh, SignedIn},
        rate_limit::{Count, Quota, spend},
        valid::Valid,
    },
    error::{ApiError, ErrorCode},
    letters::Letter,
    sessions,
    state::State,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json},
};
use garde::Validate;
use serde::Deserialize;
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// Ask for a code by mail
///
/// By which the owner agrees to the first second factor, to another way in, or to removing a second factor, in this session. For as long as
/// a change of the address can be taken back, it goes to the one before.
#[utoipa::path(post, path = "/v1/me/mailbox", tag = "me", responses((status = 202, description = "A letter is on its way", body = LetterSent)))]
pub async fn request_mailbox_code(signed_in: Fresh<SignedIn>, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let (account, lifetime) = (signed_in.0.principal.account, state.settings.terms.challenge);
    let email = owners_mailbox(&mut *state.pool.acquire().await?, account, state.clock.now()).await?;
    spend(&state, &[Count::of(&state, Quota::MailboxCodes, &[&account.to_string()])]).await?;
    let mut transaction = state.pool.begin().await?;
    let claim = Claim { purpose: Purpose::FirstFactor, email: &email, account: Some(AccountId(account)), session: None, lifetime };
    let issued = mailed::send_proof(&mut transaction, &state, claim, |issued| Letter::Mailbox(issued)).await?;
    transaction.commit().await?;
    mailed::sent(&state);
    Ok(LetterSent::answer(issued.id, lifetime))
}

/// The letter's code.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MailboxCode {
    /// From the answer to the call that asked for the letter.
    #[garde(skip)]
    proof_id: Uuid,
    /// The letter's eight digits.
    #[garde(length(bytes, max = 8))]
    #[schema(value_type = Code)]
    code: String,
}

/// Show that one reads the account's mail
///
/// Spends the letter's code. For some minutes this session may add the first second factor or another way in.
#[utoipa::path(post, path = "/v1/me/mailbox/confirm", tag = "me", request_body = MailboxCode, responses((status = 204, description = "Agreed")))]
pub async fn confirm_mailbox(signed_in: Fresh<SignedIn>, state: Data<State>, body: Valid<Json<MailboxCode>>) -> Result<HttpResponse, ApiError> {
    let Fresh(SignedIn { principal, caller }) = signed_in;
    let MailboxCode { proof_id: id, code } = body.0.into_inner();
    let (proven, owner) = check(&state, &caller, Purpose::FirstFactor, Proof::Code { id, code }).await?;
    let now = state.clock.now();
    let mut transaction = state.pool.begin().await?;
    proof::spend(&mut transaction, now, &proven).await?;
    let email = owners_mailbox(&mut transaction, principal.account, now).await?;
    if owner.0 != principal.account || proven.email.as_str() != email.as_str() {
        return Err(ApiError::new(ErrorCode::InvalidProof));
    }
    sessions::assurance::store::mark_mailbox_proven(&mut transaction, principal.account, principal.session, now).await?;
    audit::record(&mut transaction, &state.keyring, now, Entry::own(Event::MailboxProven, &caller.origin, principal.account)).await?;
    transaction.commit().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The account's address; for as long as a change of it can be taken back, the one before: whoever changed it may not be the owner.
async fn owners_mailbox(connection: &mut PgConnection, account: Uuid, now: OffsetDateTime) -> Result<Email, ApiError> {
    let before = proof::store::address_before(connection, AccountId(account), now).await?;
    match before.and_then(|address| Email::parse(&address).ok()) {
        Some(before) => Ok(before),
        None => own_email(connection, account).await,
    }
}

/// To be asked before a second factor or a way in is added: the account has a second factor, which [`Fresh`] has asked for, or its owner has
/// agreed by mail a moment ago.
pub(super) async fn ensure_agreed(connection: &mut PgConnection, state: &State, principal: &Principal) -> Result<(), ApiError> {
    if factors(connection, principal.account).await?.is_on() { Ok(()) } else { ensure_shown(connection, state, principal).await }
}

/// To be asked before a second factor is removed: whoever has taken one from the owner must not put another in its place.
pub(super) async fn ensure_shown(connection: &mut PgConnection, state: &State, principal: &Principal) -> Result<(), ApiError> {
    let history = sessions::assurance::store::history(connection, principal.account, principal.session).await?;
    let since = state.clock.now() - state.settings.sessions.step_up;
    match history {
        Some((_, Some(at))) if at > since => Ok(()),
        _ => Err(ApiError::new(ErrorCode::MailboxProofRequired)),
    }
}
