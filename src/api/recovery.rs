//! Getting back in, and getting strangers out: a new password by letter, "this was not me", and making a device known after too
//! many wrong passwords. No link signs anybody in; each is spent by one statement, and what it ends ends in its transaction.
//! Practices 4.sensitive-routes, 14.invalidate-on-password-change.
//! Attacks: `tests/suite/attacks/s15_broken_authentication/`.

use crate::{
    accounts::{
        self, AccountId, Email,
        directory::Status,
        proof::{self, Claim, Proven, Purpose},
    },
    api::{
        api_keys,
        mailed::{self, LetterSent},
        shapes::{Code, NewPassword, OpaqueToken},
    },
    audit::{self, Entry, Event},
    credentials::{self, challenge, password::Password},
    edge::{
        guard::{Anyone, Caller},
        known_device,
        rate_limit::{Count, Quota, forget},
        valid::{Field, Valid},
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
use serde_json::json;
use sqlx::PgConnection;
use time::Duration;
use utoipa::ToSchema;
use uuid::Uuid;

/// Asks for a new password.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgotPassword {
    /// The account's address.
    #[garde(dive)]
    #[schema(value_type = Email)]
    email: Field<Email>,
}

/// Ask for a new password
///
/// Sends a letter with a link and a code. The answer is the same whether the address has an account or not; so is the work. The
/// password stays as it is until the letter is used.
#[utoipa::path(post, path = "/v1/auth/password/forgot", tag = "auth", request_body = ForgotPassword,
    responses((status = 202, description = "A letter is on its way", body = LetterSent)))]
pub async fn forgot_password(anyone: Anyone, state: Data<State>, body: Valid<Json<ForgotPassword>>) -> Result<HttpResponse, ApiError> {
    let email = body.0.into_inner().email.take("email")?;
    mailed::spend_letter(&state, &anyone.caller, &email).await?;

    let (now, lifetime) = (state.clock.now(), state.settings.terms.proof);
    let mut transaction = state.pool.begin().await?;
    let found = accounts::store::find_by_email(&mut transaction, &email).await?;
    let account = found.map(|(account, _)| account);
    let status = found.map(|(_, status)| status);
    // whoever closed an account gets the link that keeps it once more
    let (purpose, valid) = match status {
        Some(Status::Closing) => (Purpose::KeepAccount, state.settings.terms.erasure),
        _ => (Purpose::PasswordReset, lifetime),
    };
    let claim = Claim { purpose, email: &email, account, session: None, lifetime: valid };
    let issued = mailed::send_proof(&mut transaction, &state, claim, |issued| match status {
        Some(Status::Active) => Letter::PasswordReset(issued),
        Some(Status::Closing) => Letter::Closing(issued),
        Some(Status::Disabled) => Letter::Disabled,
        None => Letter::NoAccount,
    })
    .await?;
    let entry = Entry::new(Event::PasswordResetRequested, &anyone.caller.origin, None, account.map(|account| account.0));
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    mailed::sent(&state);
    Ok(LetterSent::answer(issued.id, lifetime))
}

/// Sets a new password. Give `token`, or `proof_id` and `code`.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetPassword {
    /// From the letter's link.
    #[garde(length(bytes, max = 64))]
    #[schema(value_type = Option<OpaqueToken>)]
    token: Option<String>,
    /// From the answer to `forgot`.
    #[garde(skip)]
    proof_id: Option<Uuid>,
    /// The letter's eight digits.
    #[garde(length(bytes, max = 8))]
    #[schema(value_type = Option<Code>)]
    code: Option<String>,
    /// The new password: 15 to 128 characters, nothing common, nothing about its owner.
    #[garde(skip)]
    #[schema(value_type = NewPassword)]
    password: Password,
}

/// Set a new password
///
/// Spends the link or code. Everybody is signed out, every other one-time link ends, every device but this one is unknown again, and the
/// owner is told. Nobody is signed in by this.
#[utoipa::path(post, path = "/v1/auth/password/reset", tag = "auth", request_body = ResetPassword,
    responses((status = 204, description = "The password is set", headers(("Set-Cookie")))))]
pub async fn reset_password(anyone: Anyone, state: Data<State>, body: Valid<Json<ResetPassword>>) -> Result<HttpResponse, ApiError> {
    let ResetPassword { token, proof_id, code, password } = body.0.into_inner();
    let (proven, owner) = check(&state, &anyone.caller, Purpose::PasswordReset, mailed::proof(token, proof_id, code)?).await?;
    let account = accounts::store::find_own(&mut *state.pool.acquire().await?, owner).await?;
    // an address that the account had before proves nothing
    let account = account.filter(|account| account.email == proven.email.as_str()).ok_or_else(|| ApiError::new(ErrorCode::InvalidProof))?;
    let hash = mailed::new_password(&state, proven.id, &password, vec![account.email, account.name]).await?;

    let now = state.clock.now();
    let may_notify = mailed::may_notify(&state, &proven.email).await?;
    let mut transaction = state.pool.begin().await?;
    put_out(&mut transaction, &state, &anyone.caller, owner, &proven).await?;
    credentials::store::set_password(&mut transaction, owner.0, &hash, now).await?;
    forget(&state, &mut transaction, Count::of(&state, Quota::LoginFailures, &[proven.email.as_str()])).await?;
    audit::record(&mut transaction, &state.keyring, now, Entry::own(Event::PasswordReset, &anyone.caller.origin, owner.0)).await?;
    if may_notify {
        mailed::send(&mut transaction, &state, &proven.email, Letter::PasswordChanged).await?;
    }
    transaction.commit().await?;
    mailed::sent(&state);
    Ok(made_known(&state, &anyone.caller, &proven.email))
}

/// A link that needs nothing but a click.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FollowLink {
    /// From the letter's link.
    #[garde(length(bytes, max = 64))]
    #[schema(value_type = OpaqueToken)]
    pub(super) token: String,
}

/// Say that a sign-in was not yours
///
/// Spends the link in the letter about a new device. Everybody is signed out, the password becomes useless, and a letter to set a
/// new one is sent.
#[utoipa::path(post, path = "/v1/auth/sessions/disown", tag = "auth", request_body = FollowLink,
    responses((status = 204, description = "Everybody is out; a letter is on its way")))]
pub async fn disown_session(anyone: Anyone, state: Data<State>, body: Valid<Json<FollowLink>>) -> Result<HttpResponse, ApiError> {
    let proof = proof::Proof::Link(body.0.into_inner().token);
    let (proven, owner) = check(&state, &anyone.caller, Purpose::DisownSession, proof).await?;
    let mut transaction = state.pool.begin().await?;
    put_out(&mut transaction, &state, &anyone.caller, owner, &proven).await?;
    let entry = Entry::own(Event::SessionDisowned, &anyone.caller.origin, owner.0).detail(json!({ "session": proven.session }));
    audit::record(&mut transaction, &state.keyring, state.clock.now(), entry).await?;
    start_over(&mut transaction, &state, owner, &proven.email).await?;
    transaction.commit().await?;
    mailed::sent(&state);
    Ok(HttpResponse::NoContent().finish())
}

/// Make a device known
///
/// Spends the link that an unknown device needs after too many wrong passwords, and sets the cookie by which this one is known.
/// Nobody is signed in by this.
#[utoipa::path(post, path = "/v1/auth/devices/trust", tag = "auth", request_body = FollowLink,
    responses((status = 204, description = "This device is known", headers(("Set-Cookie")))))]
pub async fn trust_device(anyone: Anyone, state: Data<State>, body: Valid<Json<FollowLink>>) -> Result<HttpResponse, ApiError> {
    let proof = proof::Proof::Link(body.0.into_inner().token);
    let (proven, owner) = check(&state, &anyone.caller, Purpose::TrustDevice, proof).await?;
    let now = state.clock.now();
    let mut transaction = state.pool.begin().await?;
    proof::spend(&mut transaction, now, &proven).await?;
    audit::record(&mut transaction, &state.keyring, now, Entry::own(Event::DeviceTrusted, &anyone.caller.origin, owner.0)).await?;
    transaction.commit().await?;
    Ok(made_known(&state, &anyone.caller, &proven.email))
}

/// This device is known from here on: whoever reads the owner's letters has shown more than whoever signs in, and an attack on the
/// account must not keep them out.
fn made_known(state: &State, caller: &Caller, email: &Email) -> HttpResponse {
    HttpResponse::NoContent().cookie(known_device::cookie(state, caller.device_cookie.as_deref(), None, email)).finish()
}

/// A proof of this purpose, and whose account it is about.
pub(super) async fn check(state: &State, caller: &Caller, purpose: Purpose, proof: proof::Proof) -> Result<(Proven, AccountId), ApiError> {
    let proven = mailed::check(state, caller, &[purpose], &proof).await?;
    let owner = proven.account.ok_or_else(|| ApiError::new(ErrorCode::InvalidProof))?;
    Ok((proven, owner))
}

/// Spends the proof; then nobody is signed in, no API key is good, no device is known, no other one-time link of the account works, and one that somebody
/// closed is open again.
pub(super) async fn put_out(
    connection: &mut PgConnection,
    state: &State,
    caller: &Caller,
    owner: AccountId,
    proven: &Proven,
) -> Result<(), ApiError> {
    let now = state.clock.now();
    proof::spend(connection, now, proven).await?;
    if !accounts::store::take_back(connection, owner, now).await? {
        return Err(ApiError::new(ErrorCode::InvalidProof));
    }
    proof::store::end_proofs(connection, owner, &Purpose::ENDED_BY_RECOVERY, now).await?;
    proof::store::end_proofs(connection, owner, &[Purpose::KeepAccount], now).await?;
    challenge::store::end_all(connection, owner.0, now).await?;
    // a link that nobody asked for tells of somebody else: what was set up since the letter may be theirs. One that was asked for changes
    // nothing about the second factor: whoever reads the letters has shown one factor only
    if proven.purpose != Purpose::PasswordReset {
        credentials::take_back(connection, owner.0, proven.issued_at).await?;
    }
    sessions::end_all(connection, &state.revocations, owner.0, now).await?;
    api_keys::revoke_all(connection, state, &caller.origin, (owner.0, owner.0)).await
}

/// The letter that follows a voided password waits for its reader longer than one that was just asked for.
const START_OVER: Duration = Duration::days(1);

/// The password is void, and a letter to set a new one is on its way: somebody else may know it.
pub(super) async fn start_over(connection: &mut PgConnection, state: &State, owner: AccountId, email: &Email) -> Result<(), ApiError> {
    credentials::store::remove_password(connection, owner.0).await?;
    let claim = Claim { purpose: Purpose::PasswordReset, email, account: Some(owner), session: None, lifetime: START_OVER };
    mailed::send_proof(connection, state, claim, |issued| Letter::PasswordVoided(issued)).await.map(drop)
}
