//! One's own passkeys: making, naming and removing them. Each is a way in and a second factor: making or removing one needs a proof of who
//! one is from a moment ago, is told to the owner, and the last way in stays.
//! Practices 10.mfa, 10.step-up. Attacks: `tests/suite/attacks/s10_access_control/`.

pub(super) mod credential;
pub(super) mod proof;
pub(super) mod sign_in;

use crate::{
    access::Principal,
    accounts::{self, AccountId, Name},
    api::{
        mailbox, mailed,
        mfa::{self, FactorAdded},
        shapes::{OpaqueToken, RecoveryCode},
        step_up::{Renewed, renewed},
        tokens,
    },
    audit::{self, Entry, Event},
    credentials::{
        self,
        challenge::{self, Begin, Challenge, Purpose},
        passkey::{
            MAX_PASSKEYS, NewPasskey, Registration,
            options::{CreationOptions, RequestOptions},
            store::{self, Listed, Stores},
        },
        second_factor::{Method, store::factors},
    },
    edge::{
        guard::{Caller, Fresh, SignedIn},
        rate_limit::{Count, Quota, spend as count},
        valid::{Field, Object, Valid},
    },
    error::{ApiError, ErrorCode},
    platform::crypto::SecretToken,
    state::State,
};
use actix_session::Session;
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path},
};
use credential::NewCredential;
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// One of one's own passkeys.
#[derive(Serialize, ToSchema)]
pub struct Passkey {
    /// Names it. Not the credential's id.
    id: Uuid,
    /// What its owner calls it.
    #[schema(value_type = Name)]
    name: String,
    /// Whether its devices keep it in more than one place, as they said when it was last used. One that they do not is lost with its device.
    is_backed_up: bool,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it was last used.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = "date-time")]
    last_used_at: Option<OffsetDateTime>,
}

impl From<Listed> for Passkey {
    fn from(Listed { id, name, is_backed_up, created_at, last_used_at }: Listed) -> Self {
        Self { id, name, is_backed_up, created_at, last_used_at }
    }
}

/// One's own passkeys.
#[derive(Serialize, ToSchema)]
pub struct Passkeys {
    /// The oldest first.
    #[schema(max_items = 20)]
    items: Vec<Passkey>,
}

/// Options for `navigator.credentials.create()`, and what to send with the answer.
#[derive(Serialize, ToSchema)]
pub struct PasskeyCreation {
    /// To be sent with the answer. Good once, for some minutes.
    #[schema(value_type = OpaqueToken)]
    token: String,
    /// For `PublicKeyCredential.parseCreationOptionsFromJSON()`.
    options: CreationOptions,
}

/// Options for `navigator.credentials.get()`, and what to send with the answer.
#[derive(Serialize, ToSchema)]
pub struct PasskeyRequest {
    /// To be sent with the answer. Good once, for some minutes.
    #[schema(value_type = OpaqueToken)]
    token: String,
    /// For `PublicKeyCredential.parseRequestOptionsFromJSON()`.
    options: RequestOptions,
}

/// Counts a question that is asked: each is work, and most write a row.
async fn count_question(state: &State, caller: &Caller) -> Result<(), ApiError> {
    count(state, &[Count::of(state, Quota::PasskeyOptions, &[&caller.client.network().to_string()])]).await.map(drop)
}

/// What this session began, and nobody else.
pub(super) async fn begun(state: &State, principal: &Principal, purpose: Purpose, token: String) -> Result<Challenge, ApiError> {
    let mut connection = state.pool.acquire().await?;
    let found = challenge::find(&mut connection, &state.keyring, state.clock.now(), purpose, &SecretToken::sent(token)).await?;
    let is_own = found.account == Some(principal.account) && found.session == Some(principal.session);
    if is_own { Ok(found) } else { Err(ApiError::new(ErrorCode::InvalidChallenge)) }
}

/// Begin a passkey
///
/// Gives options for `navigator.credentials.create()`. Its device must verify who holds it, and keep it so that it is found without a name.
#[utoipa::path(post, path = "/v1/me/passkeys/options", tag = "me",
    responses((status = 200, description = "The options", body = PasskeyCreation)))]
pub async fn begin_passkey(signed_in: Fresh<SignedIn>, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let Fresh(SignedIn { principal, caller }) = signed_in;
    count_question(&state, &caller).await?;
    let mut transaction = state.pool.begin().await?;
    mailbox::ensure_agreed(&mut transaction, &state, &principal).await?;
    let owner = accounts::store::find_own(&mut transaction, AccountId(principal.account)).await?;
    let owner = owner.ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated))?;
    let known = store::stored(&mut transaction, &state.keyring, principal.account).await?;
    if known.len() >= MAX_PASSKEYS {
        // before a device makes one that nobody wants
        return Err(ApiError::new(ErrorCode::TooMany));
    }
    let (options, registration) = state.settings.relying_party.invite(&owner, &known).map_err(ApiError::internal)?;
    let begin = Begin {
        purpose: Purpose::PasskeyRegistration,
        account: Some(principal.account),
        session: Some(principal.session),
        lifetime: state.settings.terms.challenge,
    };
    let token = challenge::issue(&mut transaction, &state.keyring, state.clock.now(), begin, &registration).await?;
    transaction.commit().await?;
    Ok(HttpResponse::Ok().json(PasskeyCreation { token: token.expose().to_owned(), options }))
}

/// A passkey that was made.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddPasskey {
    /// From the options.
    #[garde(length(bytes, max = 64))]
    #[schema(value_type = OpaqueToken)]
    token: String,
    /// What to call it: the device, say.
    #[garde(dive)]
    #[schema(value_type = Name)]
    name: Field<Name>,
    /// What `navigator.credentials.create()` gave, by its `toJSON()`.
    #[garde(dive)]
    #[schema(value_type = NewCredential)]
    credential: Object<NewCredential>,
}

/// A passkey that counts.
#[derive(Serialize, ToSchema)]
pub struct PasskeyAdded {
    /// The passkey.
    passkey: Passkey,
    /// With the account's first second factor: ten codes for when it is lost, each good once. They are shown this once.
    #[schema(value_type = Vec<RecoveryCode>, max_items = 10)]
    recovery_codes: Vec<String>,
    /// What carries the session now.
    session: Renewed,
}

/// Add a passkey
///
/// It signs in by itself, and as the second factor beside a password: from now on every sign-in with a password asks for one. The session
/// goes on as one with a second factor; with the account's first one, every other session ends and recovery codes are made.
#[utoipa::path(post, path = "/v1/me/passkeys", tag = "me", request_body = AddPasskey,
    responses((status = 201, description = "It counts", body = PasskeyAdded, headers(("Set-Cookie")))))]
pub async fn add_passkey(
    signed_in: Fresh<SignedIn>,
    state: Data<State>,
    session: Session,
    body: Valid<Json<AddPasskey>>,
) -> Result<HttpResponse, ApiError> {
    let Fresh(SignedIn { principal, caller }) = signed_in;
    let AddPasskey { token, name, credential: Object(credential) } = body.0.into_inner();
    let (name, made, now) = (name.take("name")?, credential.take()?, state.clock.now());
    let found = begun(&state, &principal, Purpose::PasskeyRegistration, token).await?;
    let registration: Registration = found.state()?;
    let accepted: Result<NewPasskey, _> = state.settings.relying_party.accept(&registration, made);
    let new = accepted.map_err(|_| ApiError::invalid_field("credential", "was not made for these options, or without verifying its user"))?;
    mfa::spend_change(&state, principal.account).await?;
    tokens::know_keys(&state).await?;
    let mut transaction = state.pool.begin().await?;
    let email = mfa::lock_own(&mut transaction, &state, &principal).await?;
    mailbox::ensure_agreed(&mut transaction, &state, &principal).await?;
    let before = factors(&mut transaction, principal.account).await?;
    challenge::spend(&mut transaction, found.id, now).await?;
    let passkey = match store::insert(&mut transaction, &state.keyring, now, (principal.account, &name), &new).await? {
        Stores::Done(passkey) => passkey,
        Stores::TooMany => return Err(ApiError::new(ErrorCode::TooMany)),
        Stores::Known => return Err(ApiError::invalid_field("credential", "is known already")),
    };
    let added = mfa::added(&mut transaction, &state, (&principal, &caller, &email), before, Method::Passkey).await?;
    transaction.commit().await?;
    mailed::sent(&state);
    let mut response = HttpResponse::Created();
    let FactorAdded { recovery_codes, session } = added.into_body(&mut response, &state, &session)?;
    Ok(response.json(PasskeyAdded { passkey: passkey.into(), recovery_codes, session }))
}

/// List one's passkeys
#[utoipa::path(get, path = "/v1/me/passkeys", tag = "me",
    responses((status = 200, description = "The passkeys", body = Passkeys)))]
pub async fn list_passkeys(signed_in: SignedIn, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let all = store::list(&mut *state.pool.acquire().await?, signed_in.principal.account).await?;
    Ok(HttpResponse::Ok().json(Passkeys { items: all.into_iter().map(Passkey::from).collect() }))
}

/// Another name.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenamePasskey {
    /// What to call it.
    #[garde(dive)]
    #[schema(value_type = Name)]
    name: Field<Name>,
}

/// Rename a passkey
#[utoipa::path(patch, path = "/v1/me/passkeys/{id}", tag = "me", request_body = RenamePasskey,
    params(("id" = Uuid, Path, description = "The passkey")), responses((status = 200, description = "The passkey", body = Passkey)))]
pub async fn rename_passkey(
    signed_in: SignedIn,
    state: Data<State>,
    id: Valid<Path<Uuid>>,
    body: Valid<Json<RenamePasskey>>,
) -> Result<HttpResponse, ApiError> {
    let SignedIn { principal, caller } = signed_in;
    let (id, name) = (id.0.into_inner(), body.0.into_inner().name.take("name")?);
    let mut transaction = state.pool.begin().await?;
    let renamed = store::rename(&mut transaction, principal.account, id, &name).await?.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
    let entry = Entry::own(Event::PasskeyRenamed, &caller.origin, principal.account).detail(json!({ "passkey": id }));
    audit::record(&mut transaction, &state.keyring, state.clock.now(), entry).await?;
    transaction.commit().await?;
    Ok(HttpResponse::Ok().json(Passkey::from(renamed)))
}

/// Remove a passkey
///
/// Not the last way into the account. Needs the owner's agreement by mail. With the last second factor the recovery codes go, too, every
/// other session ends, and this one is one without.
#[utoipa::path(delete, path = "/v1/me/passkeys/{id}", tag = "me",
    params(("id" = Uuid, Path, description = "The passkey")), responses((status = 200, description = "It is gone; what carries the session now", body = Renewed, headers(("Set-Cookie")))))]
pub async fn remove_passkey(
    signed_in: Fresh<SignedIn>,
    state: Data<State>,
    session: Session,
    id: Valid<Path<Uuid>>,
) -> Result<HttpResponse, ApiError> {
    let Fresh(SignedIn { principal, caller }) = signed_in;
    let id = id.0.into_inner();
    mfa::spend_change(&state, principal.account).await?;
    tokens::know_keys(&state).await?;
    let mut transaction = state.pool.begin().await?;
    let email = mfa::lock_own(&mut transaction, &state, &principal).await?;
    mailbox::ensure_shown(&mut transaction, &state, &principal).await?;
    if !store::remove(&mut transaction, principal.account, id).await? {
        return Err(ApiError::new(ErrorCode::NotFound));
    }
    // rolled back with what was removed
    if credentials::store::ways_in(&mut transaction, principal.account).await? == 0 {
        return Err(ApiError::new(ErrorCode::LastWayIn));
    }
    let raising = mfa::removed(&mut transaction, &state, (&principal, &caller, &email), Method::Passkey).await?;
    transaction.commit().await?;
    mailed::sent(&state);
    let mut response = HttpResponse::Ok();
    let body = renewed(&mut response, &state, &session, raising)?;
    Ok(response.json(body))
}
