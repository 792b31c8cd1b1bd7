//! Changing the address: proven on the new one, told to the old one with a link that takes it back. The link outlives whatever
//! the new address does next, because it may be a stranger's.
//! Attacks: `tests/suite/attacks/s15_broken_authentication/address_theft.rs`.

use crate::{
    accounts::{
        self, Email,
        proof::{self, Claim, Proof, Purpose},
    },
    api::{
        mailed::{self, LetterSent},
        mfa::lock_own,
        recovery::{FollowLink, check, put_out, start_over},
        register::taken_meanwhile,
        shapes::{Code, OpaqueToken},
    },
    audit::{self, Entry, Event},
    credentials::challenge,
    edge::{
        guard::{Anyone, Fresh, SignedIn},
        valid::{Field, Valid},
    },
    error::{ApiError, ErrorCode},
    letters::Letter,
    state::State,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json},
};
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Asks for another address.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeEmail {
    /// The new address.
    #[garde(dive)]
    #[schema(value_type = Email)]
    email: Field<Email>,
}

/// Ask for another address
///
/// Sends a letter with a link and a code to the new address. Until it is confirmed nothing changes. The answer is the same whether
/// the new address has an account of its own or not.
#[utoipa::path(post, path = "/v1/me/email", tag = "me", request_body = ChangeEmail,
    responses((status = 202, description = "A letter is on its way", body = LetterSent)))]
pub async fn change_email(signed_in: Fresh<SignedIn>, state: Data<State>, body: Valid<Json<ChangeEmail>>) -> Result<HttpResponse, ApiError> {
    let (Fresh(SignedIn { principal, caller }), email) = (signed_in, body.0.into_inner().email.take("email")?);
    mailed::spend_letter(&state, &caller, &email).await?;

    let (now, lifetime) = (state.clock.now(), state.settings.terms.proof);
    let account = Some(accounts::AccountId(principal.account));
    let mut transaction = state.pool.begin().await?;
    lock_own(&mut transaction, &state, &principal).await?;
    let is_taken = accounts::store::is_known(&mut transaction, &email).await?;
    // for a taken address too, as when registering
    let claim = Claim { purpose: Purpose::EmailChange, email: &email, account, session: None, lifetime };
    let issued =
        mailed::send_proof(&mut transaction, &state, claim, |issued| if is_taken { Letter::EmailTaken } else { Letter::EmailChange(issued) }).await?;
    let entry = Entry::own(Event::EmailChangeRequested, &caller.origin, principal.account).email(email.as_str());
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    mailed::sent(&state);
    Ok(LetterSent::answer(issued.id, lifetime))
}

/// Proves the new address. Give `token`, or `proof_id` and `code`.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmEmail {
    /// From the letter's link.
    #[garde(length(bytes, max = 64))]
    #[schema(value_type = Option<OpaqueToken>)]
    token: Option<String>,
    /// From the answer to the change.
    #[garde(skip)]
    proof_id: Option<Uuid>,
    /// The letter's eight digits.
    #[garde(length(bytes, max = 8))]
    #[schema(value_type = Option<Code>)]
    code: Option<String>,
}

/// Confirm the new address
///
/// Spends the link or code. The old address is told, with a link that takes the change back.
#[utoipa::path(post, path = "/v1/auth/email/confirm", tag = "auth", request_body = ConfirmEmail,
    responses((status = 204, description = "The address is changed")))]
pub async fn confirm_email(anyone: Anyone, state: Data<State>, body: Valid<Json<ConfirmEmail>>) -> Result<HttpResponse, ApiError> {
    let ConfirmEmail { token, proof_id, code } = body.0.into_inner();
    let (proven, owner) = check(&state, &anyone.caller, Purpose::EmailChange, mailed::proof(token, proof_id, code)?).await?;
    let now = state.clock.now();
    let mut transaction = state.pool.begin().await?;
    proof::spend(&mut transaction, now, &proven).await?;
    let changed = accounts::store::change_email(&mut transaction, owner, &proven.email, now).await.map_err(taken_meanwhile)?;
    let old = changed.ok_or_else(|| ApiError::new(ErrorCode::InvalidProof))?;
    challenge::store::end_all(&mut transaction, owner.0, now).await?;
    proof::store::end_proofs(&mut transaction, owner, &Purpose::ENDED_BY_RECOVERY, now).await?;
    proof::store::end_registrations(&mut transaction, &proven.email, now).await?;
    // the way back ends where it leads to: an address in between, which may be a stranger's, gets no link of its own
    if !proof::store::end_undos_since(&mut transaction, owner, &proven.email, now).await? {
        let undo = Claim { purpose: Purpose::EmailUndo, email: &old, account: Some(owner), session: None, lifetime: state.settings.terms.undo };
        // never suppressed: it is the owner's way back
        mailed::send_proof(&mut transaction, &state, undo, |issued| Letter::EmailChanged(issued)).await?;
    }
    let entry = Entry::own(Event::EmailChanged, &anyone.caller.origin, owner.0).email(old.as_str()).email(proven.email.as_str());
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    mailed::sent(&state);
    Ok(HttpResponse::NoContent().finish())
}

/// Take a change of address back
///
/// Spends the link that went to the old address: it is the account's again, everybody is signed out, the password becomes useless
/// and a letter to set a new one is sent.
#[utoipa::path(post, path = "/v1/auth/email/undo", tag = "auth", request_body = FollowLink,
    responses((status = 204, description = "The old address is back; a letter is on its way")))]
pub async fn undo_email_change(anyone: Anyone, state: Data<State>, body: Valid<Json<FollowLink>>) -> Result<HttpResponse, ApiError> {
    let (proven, owner) = check(&state, &anyone.caller, Purpose::EmailUndo, Proof::Link(body.0.into_inner().token)).await?;
    let now = state.clock.now();
    let mut transaction = state.pool.begin().await?;
    put_out(&mut transaction, &state, &anyone.caller, owner, &proven).await?;
    // also the links that went to addresses in between: they may be a stranger's
    proof::store::end_proofs(&mut transaction, owner, &[Purpose::EmailUndo], now).await?;
    let wrong = accounts::store::change_email(&mut transaction, owner, &proven.email, now).await.map_err(taken_meanwhile)?;
    let wrong = wrong.ok_or_else(|| ApiError::new(ErrorCode::InvalidProof))?;
    let entry = Entry::own(Event::EmailChangeUndone, &anyone.caller.origin, owner.0).email(wrong.as_str()).email(proven.email.as_str());
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    start_over(&mut transaction, &state, owner, &proven.email).await?;
    transaction.commit().await?;
    mailed::sent(&state);
    Ok(HttpResponse::NoContent().finish())
}
