//! Signing in with a passkey and nothing else: the device says whose it is. Whoever asks for options names nobody and learns nothing;
//! whatever is wrong is refused in the same words as a wrong password.
//! Practices 10.mfa, 4.brute-force. Attacks: `tests/suite/attacks/s10_access_control/`.

use crate::{
    access::Transport,
    accounts::Email,
    api::{
        passkeys::{PasskeyRequest, count_question, credential::ShownCredential, proof::judge},
        shapes::OpaqueToken,
        sign_in::{self, Basis, Carriage, Evidence, LoginAnswer},
        tokens::RefreshIn,
    },
    audit::{self, Entry, Event},
    credentials::{
        challenge::{self, Begin, Purpose},
        passkey::{
            Question, Shown,
            store::{self, ForSignIn},
        },
    },
    edge::{
        guard::{Anyone, Caller},
        known_device,
        rate_limit::{Count, Quota, give_back, spend as count},
        valid::{Object, Valid},
    },
    error::{ApiError, ErrorCode},
    platform::crypto::SecretToken,
    state::State,
};
use actix_session::Session;
use actix_web::{
    HttpResponse,
    web::{Data, Json},
};
use garde::Validate;
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// Nothing yet: whoever asks says nothing about who they are.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginPasskeySignIn {}

/// Begin to sign in with a passkey
///
/// Gives options for `navigator.credentials.get()`, by which the device offers what it has for this service.
#[utoipa::path(post, path = "/v1/auth/passkeys/options", tag = "auth", request_body = BeginPasskeySignIn,
    responses((status = 200, description = "The options", body = PasskeyRequest)))]
pub async fn begin_passkey_sign_in(anyone: Anyone, state: Data<State>, _body: Valid<Json<BeginPasskeySignIn>>) -> Result<HttpResponse, ApiError> {
    count_question(&state, &anyone.caller).await?;
    let (options, question) = state.settings.relying_party.ask(None).map_err(ApiError::internal)?;
    let begin = Begin { purpose: Purpose::PasskeySignIn, account: None, session: None, lifetime: state.settings.terms.challenge };
    let token = challenge::issue(&mut *state.pool.acquire().await?, &state.keyring, state.clock.now(), begin, &question).await?;
    Ok(HttpResponse::Ok().json(PasskeyRequest { token: token.expose().to_owned(), options }))
}

/// A passkey that was used.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyLogin {
    /// From the options.
    #[garde(length(bytes, max = 64))]
    #[schema(value_type = OpaqueToken)]
    token: String,
    /// What `navigator.credentials.get()` gave, by its `toJSON()`.
    #[garde(dive)]
    #[schema(value_type = ShownCredential)]
    credential: Object<ShownCredential>,
    /// How the session is carried: by a cookie, or by tokens in headers.
    #[garde(skip)]
    #[serde(default = "sign_in::by_cookie")]
    transport: Transport,
    /// Where the client keeps the refresh token, with `transport` `token`; `cookie` otherwise.
    #[garde(skip)]
    refresh_in: Option<RefreshIn>,
}

/// Sign in with a passkey
///
/// The device verified who holds it, so that no second factor is asked for. Otherwise like signing in with a password.
#[utoipa::path(post, path = "/v1/auth/passkeys/login", tag = "auth", request_body = PasskeyLogin,
    responses((status = 200, description = "Signed in", body = LoginAnswer, headers(("Set-Cookie")))))]
pub async fn passkey_login(anyone: Anyone, state: Data<State>, session: Session, body: Valid<Json<PasskeyLogin>>) -> Result<HttpResponse, ApiError> {
    let PasskeyLogin { token, credential: Object(credential), transport, refresh_in } = body.0.into_inner();
    let carriage = Carriage::of(transport, refresh_in)?;
    let shown = credential.take("credential")?;
    let spent = count(&state, &[Count::of(&state, Quota::WrongPasskeys, &[&anyone.caller.client.network().to_string()])]).await?;
    let proven = prove(&state, &anyone.caller, token, shown).await;
    // only what is wrong counts
    if !matches!(&proven, Err(error) if [ErrorCode::InvalidCredentials, ErrorCode::InvalidChallenge].contains(&error.code())) {
        give_back(&state, &spent).await?;
    }
    let Proven { account, email, passkey, devices_known_since } = proven?;
    let device = known_device::read(&state, anyone.caller.device_cookie.as_deref(), &email).filter(|device| device.since >= devices_known_since);
    let evidence = Evidence { account, email, basis: Basis::Passkey(passkey), carriage, device };
    sign_in::proceed(&state, &anyone, &session, evidence).await
}

/// The right passkey, used up.
struct Proven {
    account: Uuid,
    email: Email,
    passkey: Uuid,
    devices_known_since: OffsetDateTime,
}

/// Judges what was shown, and uses the challenge up: of a hundred parallel calls one gets through.
async fn prove(state: &State, caller: &Caller, token: String, shown: Shown) -> Result<Proven, ApiError> {
    let (keyring, now) = (&state.keyring, state.clock.now());
    let mut connection = state.pool.acquire().await?;
    let begun = challenge::find(&mut connection, keyring, now, Purpose::PasskeySignIn, &SecretToken::sent(token)).await?;
    challenge::count_try(&mut connection, begun.id, now).await?;
    let found = store::for_sign_in(&mut connection, keyring, &shown.id).await?;
    drop(connection);
    let owner = found.as_ref().map(|found| (found.passkey.account, found.email.clone(), found.devices_known_since));
    let question: Question = begun.state()?;
    let known = found.map(|ForSignIn { passkey, email, .. }| (passkey, email));
    let used = judge(state, caller, question, known, shown).await?;
    let (Some((account, email, devices_known_since)), Some(used)) = (&owner, used) else {
        return refuse(state, caller, owner.map(|(account, ..)| account)).await;
    };
    let mut transaction = state.pool.begin().await?;
    challenge::spend(&mut transaction, begun.id, now).await?;
    // gone, or a copy of it was faster
    if !store::note_use(&mut transaction, keyring, &used, now).await? {
        drop(transaction);
        return refuse(state, caller, Some(*account)).await;
    }
    transaction.commit().await?;
    Ok(Proven { account: *account, email: email.clone(), passkey: used.id(), devices_known_since: *devices_known_since })
}

async fn refuse<T>(state: &State, caller: &Caller, account: Option<Uuid>) -> Result<T, ApiError> {
    metrics::counter!("portcullis_logins_total", "outcome" => "refused").increment(1);
    let entry = Entry::new(Event::SignInRefused, &caller.origin, None, account).refused().detail(json!({ "method": "passkey" }));
    audit::record(&mut *state.pool.acquire().await?, &state.keyring, state.clock.now(), entry).await?;
    Err(ApiError::new(ErrorCode::InvalidCredentials))
}
