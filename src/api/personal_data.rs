//! Taking one's data along, and leaving: an export made by a job, and an account that is closed at once, can be kept for some
//! days, and is then erased. Attacks: `tests/suite/attacks/s01_authorization/`.

use crate::{
    access::role::{self, Actor},
    accounts::{
        self, AccountId, Email,
        export::{AT_MOST_EVERY, Export, store},
        proof::{self, Claim, Proof, Purpose},
    },
    api::{
        export_contents::ExportContents,
        logout::take_away,
        mailed,
        mfa::lock_own,
        recovery::{FollowLink, check, put_out, start_over},
        shapes::ExportStatus,
    },
    audit::{self, Entry, Event, subject_key},
    edge::{
        guard::{Anyone, Fresh, SignedIn},
        valid::{Field, Valid},
    },
    error::{ApiError, ErrorCode},
    letters::Letter,
    platform::crypto,
    sessions,
    state::State,
};
use actix_session::Session;
use actix_web::{
    HttpResponse,
    http::header::CONTENT_DISPOSITION,
    web::{Data, Json, Path},
};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A copy of what is held about oneself.
#[derive(Serialize, ToSchema)]
pub struct ExportAnswer {
    /// Its id.
    id: Uuid,
    /// `pending` or `ready`.
    #[schema(value_type = ExportStatus)]
    status: &'static str,
    /// Where it can be fetched.
    #[schema(format = "uri", max_length = 400)]
    url: String,
    /// When it was asked for.
    #[serde(with = "time::serde::rfc3339")]
    requested_at: OffsetDateTime,
    /// When it is deleted.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

fn show(state: &State, export: Export) -> ExportAnswer {
    let Export { id, requested_at, expires_at, is_ready } = export;
    let url = format!("{}/v1/me/export/{id}", state.settings.public_url);
    ExportAnswer { id, status: if is_ready { "ready" } else { "pending" }, url, requested_at, expires_at }
}

/// Ask for one's data
///
/// It is made in the background; a letter tells when it is ready. At most one an hour: asking again gives the last one.
#[utoipa::path(post, path = "/v1/me/export", tag = "me", responses((status = 202, description = "It is being made", body = ExportAnswer)))]
pub async fn request_export(signed_in: Fresh<SignedIn>, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let Fresh(SignedIn { principal, caller }) = signed_in;
    let (owner, now) = (AccountId(principal.account), state.clock.now());
    let wanted = Export { id: crypto::uuid_v7(now), requested_at: now, expires_at: now + state.settings.terms.export, is_ready: false };
    let mut transaction = state.pool.begin().await?;
    let export = if store::request(&mut transaction, owner, &wanted, now - AT_MOST_EVERY).await? {
        let entry = Entry::own(Event::ExportRequested, &caller.origin, owner.0).detail(json!({ "export": wanted.id }));
        audit::record(&mut transaction, &state.keyring, now, entry).await?;
        wanted
    } else {
        let last = store::newest_own(&mut transaction, owner, now).await?;
        last.ok_or_else(|| ApiError::new(ErrorCode::Unavailable))?
    };
    transaction.commit().await?;
    state.export_waits.notify_one();
    Ok(HttpResponse::Accepted().json(show(&state, export)))
}

/// Look after one's export
#[utoipa::path(get, path = "/v1/me/export", tag = "me", responses((status = 200, description = "The newest", body = ExportAnswer)))]
pub async fn read_export(signed_in: SignedIn, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let owner = AccountId(signed_in.principal.account);
    let newest = store::newest_own(&mut *state.pool.acquire().await?, owner, state.clock.now()).await?;
    Ok(HttpResponse::Ok().json(show(&state, newest.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?)))
}

/// Fetch one's export
#[utoipa::path(get, path = "/v1/me/export/{id}", tag = "me", params(("id" = Uuid, Path, description = "The export")),
    responses((status = 200, description = "Everything that is held", content_type = "application/json", body = ExportContents, headers(("Content-Disposition")))))]
pub async fn fetch_export(signed_in: Fresh<SignedIn>, state: Data<State>, id: Valid<Path<Uuid>>) -> Result<HttpResponse, ApiError> {
    let Fresh(SignedIn { principal, caller }) = signed_in;
    let (owner, id, now) = (AccountId(principal.account), id.0.into_inner(), state.clock.now());
    let mut transaction = state.pool.begin().await?;
    let sealed = store::contents_of_own(&mut transaction, owner, id, now).await?.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
    let key = subject_key::of(&mut transaction, &state.keyring, &[owner.0]).await?.remove(&owner.0);
    let plain = crypto::open(key.ok_or(crypto::Unsealable)?.expose(), id.as_bytes(), &sealed)?;
    let entry = Entry::own(Event::ExportFetched, &caller.origin, owner.0).detail(json!({ "export": id }));
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    let name = (CONTENT_DISPOSITION, r#"attachment; filename="portcullis-export.json""#);
    Ok(HttpResponse::Ok().content_type("application/json").insert_header(name).body(plain))
}

/// Closes the account.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseAccount {
    /// The account's address, as its owner types it: no slip closes an account.
    #[garde(dive)]
    #[schema(value_type = Email)]
    email: Field<Email>,
}

/// When the account is gone.
#[derive(Serialize, ToSchema)]
pub struct AccountClosing {
    /// Until then the letter's link keeps it.
    #[serde(with = "time::serde::rfc3339")]
    erased_at: OffsetDateTime,
}

/// Close one's account
///
/// Nobody is signed in any more. After some days the account and everything about its owner is erased; a letter carries the link
/// that keeps it.
#[utoipa::path(post, path = "/v1/me/close", tag = "me", request_body = CloseAccount,
    responses((status = 200, description = "It will be erased", body = AccountClosing, headers(("Set-Cookie"), ("Clear-Site-Data")))))]
pub async fn close_account(
    signed_in: Fresh<SignedIn>,
    state: Data<State>,
    session: Session,
    body: Valid<Json<CloseAccount>>,
) -> Result<HttpResponse, ApiError> {
    let Fresh(SignedIn { principal, caller }) = signed_in;
    let typed = body.0.into_inner().email.take("email")?;
    let (owner, now, grace) = (AccountId(principal.account), state.clock.now(), state.settings.terms.erasure);
    let mut transaction = state.pool.begin().await?;
    role::begin_change(&mut transaction, Actor::Person(principal.into()), None, now).await?;
    let email = lock_own(&mut transaction, &state, &principal).await?;
    if typed.as_str() != email.as_str() {
        return Err(ApiError::invalid_field("email", "is not the account's address"));
    }
    if !accounts::store::close(&mut transaction, owner, now + grace, now).await? {
        return Err(ApiError::new(ErrorCode::Unauthenticated));
    }
    role::ensure_dispensable(&mut transaction, owner.0).await?;
    sessions::end_all(&mut transaction, &state.revocations, owner.0, now).await?;
    // somebody who was robbed of the account must not run out of time meanwhile
    proof::store::extend(&mut transaction, owner, Purpose::EmailUndo, now + grace, now).await?;
    let claim = Claim { purpose: Purpose::KeepAccount, email: &email, account: Some(owner), session: None, lifetime: grace };
    // never suppressed: it is the owner's way back
    mailed::send_proof(&mut transaction, &state, claim, |issued| Letter::Closing(issued)).await?;
    audit::record(&mut transaction, &state.keyring, now, Entry::own(Event::AccountClosed, &caller.origin, owner.0)).await?;
    transaction.commit().await?;
    mailed::sent(&state);
    let mut answer = HttpResponse::Ok();
    take_away(&mut answer, &principal, &session);
    Ok(answer.json(AccountClosing { erased_at: now + grace }))
}

/// Keep an account that is to be erased
///
/// Spends the link in the letter. The password becomes useless, and a letter to set a new one is sent: whoever closed the account may
/// not have been its owner.
#[utoipa::path(post, path = "/v1/auth/account/keep", tag = "auth", request_body = FollowLink,
    responses((status = 204, description = "It stays")))]
pub async fn keep_account(anyone: Anyone, state: Data<State>, body: Valid<Json<FollowLink>>) -> Result<HttpResponse, ApiError> {
    let (proven, owner) = check(&state, &anyone.caller, Purpose::KeepAccount, Proof::Link(body.0.into_inner().token)).await?;
    let mut transaction = state.pool.begin().await?;
    // whoever closed it may not have been the owner
    put_out(&mut transaction, &state, &anyone.caller, owner, &proven).await?;
    audit::record(&mut transaction, &state.keyring, state.clock.now(), Entry::own(Event::AccountKept, &anyone.caller.origin, owner.0)).await?;
    start_over(&mut transaction, &state, owner, &proven.email).await?;
    transaction.commit().await?;
    mailed::sent(&state);
    Ok(HttpResponse::NoContent().finish())
}
