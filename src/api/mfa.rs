//! One's own second factors: the authenticator app and recovery codes. The first factor that is set up ends every other session, which began
//! without it, and brings the recovery codes; the last that is removed takes them along. The owner is told of each change.
//! Practice 10.mfa. Attacks: `tests/suite/attacks/s10_access_control/`.

use crate::{
    access::{
        Principal, Transport, role,
        store::{assignments_of, is_session_live},
    },
    accounts::{
        self, AccountId, Email,
        proof::{self, Purpose},
    },
    api::{
        mailbox, mailed,
        second_factor::Spent,
        shapes::{Assurance, OtpauthUri, Picture, RecoveryCode, TotpCode, TotpSecret},
        step_up::{Raising, Renewed, raise, renewed},
        tokens,
    },
    audit::{self, Entry, Event},
    credentials::{
        self,
        second_factor::{
            Factors, Method, recovery,
            store::{self, factors},
            totp,
        },
    },
    edge::{
        guard::{Caller, Fresh, SignedIn},
        rate_limit::{Count, Quota, spend},
        valid::Valid,
    },
    error::{ApiError, ErrorCode},
    letters::Letter,
    sessions::{self, Assured},
    state::State,
};
use actix_session::Session;
use actix_web::{
    HttpResponse, HttpResponseBuilder,
    web::{Data, Json},
};
use garde::Validate;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// One's own second factors.
#[derive(Serialize, ToSchema)]
pub struct SecondFactors {
    /// Whether every sign-in asks for one.
    is_on: bool,
    /// Since when there is an authenticator app.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = "date-time")]
    totp_since: Option<OffsetDateTime>,
    /// How many passkeys there are.
    #[schema(minimum = 0, maximum = 100)]
    passkeys: i64,
    /// How many recovery codes are left.
    #[schema(minimum = 0, maximum = 10)]
    recovery_codes_left: i64,
    /// Whether that is few: a new set is in order.
    recovery_codes_are_few: bool,
    /// Whether a role of one's own counts only with a second factor.
    is_required: bool,
    /// Whether the account has a password.
    has_password: bool,
    /// The authenticator assurance level of this session.
    #[schema(value_type = Assurance)]
    assurance: i16,
    /// When this session's owner last showed who they are.
    #[serde(with = "time::serde::rfc3339")]
    authenticated_at: OffsetDateTime,
}

/// Read one's second factors
///
/// And how sure this session is of its owner. Where `is_required` and not `is_on`, what that role allows waits for a second factor.
#[utoipa::path(get, path = "/v1/me/mfa", tag = "me", responses((status = 200, description = "What there is", body = SecondFactors)))]
pub async fn read_second_factors(signed_in: SignedIn, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let Principal { account, assurance, authenticated_at, .. } = signed_in.principal;
    let (now, mut connection) = (state.clock.now(), state.pool.acquire().await?);
    let of_account = factors(&mut connection, account).await?;
    let own: Vec<String> = assignments_of(&mut connection, account, now).await?.into_iter().map(|assignment| assignment.role).collect();
    let is_required = role::any_requires_second_factor(&mut connection, &own).await?;
    let Factors { passkeys, recovery_codes, .. } = of_account;
    Ok(HttpResponse::Ok().json(SecondFactors {
        is_on: of_account.is_on(),
        totp_since: store::totp_since(&mut connection, account).await?,
        passkeys,
        recovery_codes_left: recovery_codes,
        recovery_codes_are_few: of_account.is_on() && recovery_codes <= recovery::FEW,
        is_required,
        has_password: credentials::store::own_password(&mut connection, account).await?.is_some(),
        assurance,
        authenticated_at,
    }))
}

/// A seed that waits to be confirmed. It is shown this once.
#[derive(Serialize, ToSchema)]
pub struct TotpEnrolment {
    /// For typing.
    #[schema(value_type = TotpSecret)]
    secret: String,
    /// For an app on the same device.
    #[schema(value_type = OtpauthUri)]
    otpauth_uri: String,
    /// The same as a QR code, an SVG document.
    #[schema(value_type = Picture)]
    qr_svg: String,
}

/// Begin with an authenticator app
///
/// Gives a new seed for it. Until a code of it is confirmed nothing changes; asking again gives another seed. The account's first second
/// factor needs the owner's agreement by mail.
#[utoipa::path(post, path = "/v1/me/mfa/totp", tag = "me",
    responses((status = 201, description = "The seed", body = TotpEnrolment)))]
pub async fn begin_totp(signed_in: Fresh<SignedIn>, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let principal = signed_in.0.principal;
    let account = principal.account;
    let mut transaction = state.pool.begin().await?;
    let email = lock_own(&mut transaction, &state, &principal).await?;
    mailbox::ensure_agreed(&mut transaction, &state, &principal).await?;
    let issuer = state.settings.public_url.host();
    let made = totp::enrol(&mut transaction, &state.keyring, account, (&issuer, email.as_str()), state.clock.now()).await?;
    let totp::Enrolment { secret, uri, qr_svg } = made.ok_or_else(|| ApiError::new(ErrorCode::AlreadyExists))?;
    transaction.commit().await?;
    Ok(HttpResponse::Created().json(TotpEnrolment { secret, otpauth_uri: uri, qr_svg }))
}

/// A code of the new seed.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmTotp {
    /// The authenticator app's six digits.
    #[garde(length(bytes, max = 16))]
    #[schema(value_type = TotpCode)]
    code: String,
}

/// A second factor that was set up.
#[derive(Serialize, ToSchema)]
pub struct FactorAdded {
    /// With the first factor: ten codes for when it is lost, each good once. They are shown this once.
    #[schema(value_type = Vec<RecoveryCode>, max_items = 10)]
    pub(super) recovery_codes: Vec<String>,
    /// What carries the session now.
    pub(super) session: Renewed,
}

/// Confirm an authenticator app
///
/// From now on every sign-in asks for a code. The session goes on as one with a second factor; with the account's first one, every other
/// session ends and recovery codes are made.
#[utoipa::path(post, path = "/v1/me/mfa/totp/confirm", tag = "me", request_body = ConfirmTotp,
    responses((status = 200, description = "It counts", body = FactorAdded, headers(("Set-Cookie")))))]
pub async fn confirm_totp(
    signed_in: Fresh<SignedIn>,
    state: Data<State>,
    session: Session,
    body: Valid<Json<ConfirmTotp>>,
) -> Result<HttpResponse, ApiError> {
    let Fresh(SignedIn { principal, caller }) = signed_in;
    let (account, code, now) = (principal.account, body.0.into_inner().code, state.clock.now());
    spend_change(&state, account).await?;
    tokens::know_keys(&state).await?;
    let mut transaction = state.pool.begin().await?;
    let email = lock_own(&mut transaction, &state, &principal).await?;
    mailbox::ensure_agreed(&mut transaction, &state, &principal).await?;
    let before = factors(&mut transaction, account).await?;
    let since = now - state.settings.terms.challenge;
    if !totp::confirm(&mut transaction, &state.keyring, account, &code, since, now).await? {
        transaction.rollback().await?;
        let entry = Entry::own(Event::SecondFactorRefused, &caller.origin, account).refused();
        audit::record(&mut *state.pool.acquire().await?, &state.keyring, now, entry).await?;
        return Err(ApiError::new(ErrorCode::InvalidSecondFactor));
    }
    let added = added(&mut transaction, &state, (&principal, &caller, &email), before, Method::Totp).await?;
    transaction.commit().await?;
    mailed::sent(&state);
    let mut response = HttpResponse::Ok();
    let body = added.into_body(&mut response, &state, &session)?;
    Ok(response.json(body))
}

/// Counts a change of second factors or ways in, which is told by letter.
pub(super) async fn spend_change(state: &State, account: Uuid) -> Result<(), ApiError> {
    spend(state, &[Count::of(state, Quota::FactorChanges, &[&account.to_string()])]).await.map(drop)
}

/// Waits for its turn with the account of a signed-in person, and gives its address. The mailbox comes before the account, as everywhere.
pub(super) async fn lock_account(connection: &mut PgConnection, account: Uuid) -> Result<Email, ApiError> {
    let email = own_email(connection, account).await?;
    proof::store::lock_mailbox(connection, &email).await?;
    accounts::store::lock(connection, AccountId(account)).await?;
    // changed meanwhile
    if own_email(connection, account).await?.as_str() == email.as_str() { Ok(email) } else { Err(ApiError::new(ErrorCode::Unavailable)) }
}

/// The same for what a session changes, which may have ended while its call came in.
pub(super) async fn lock_own(connection: &mut PgConnection, state: &State, principal: &Principal) -> Result<Email, ApiError> {
    let email = lock_account(connection, principal.account).await?;
    if principal.transport == Transport::Outside {
        return Ok(email);
    }
    let is_live = is_session_live(connection, principal.account, principal.session, state.clock.now()).await?;
    if is_live { Ok(email) } else { Err(ApiError::new(ErrorCode::Unauthenticated)) }
}

/// A second factor that was set up, before the commit.
pub(super) struct Added {
    recovery_codes: Vec<SecretString>,
    raising: Raising,
}

impl Added {
    /// After the commit.
    pub fn into_body(self, response: &mut HttpResponseBuilder, state: &State, session: &Session) -> Result<FactorAdded, ApiError> {
        let recovery_codes = self.recovery_codes.iter().map(|code| code.expose_secret().to_owned()).collect();
        Ok(FactorAdded { recovery_codes, session: renewed(response, state, session, self.raising)? })
    }
}

/// What goes with every second factor that is set up: whoever did has shown it, the owner is told, and with the first one the sessions end
/// that began without. In the caller's transaction, behind the account's lock; [`tokens::know_keys`] comes before it.
pub(super) async fn added(
    connection: &mut PgConnection,
    state: &State,
    (principal, caller, email): (&Principal, &Caller, &Email),
    before: Factors,
    method: Method,
) -> Result<Added, ApiError> {
    let (account, now) = (principal.account, state.clock.now());
    let is_first = !before.is_on();
    let ended = if is_first { sessions::end_others(connection, &state.revocations, principal, now).await? } else { 0 };
    let recovery_codes = if is_first { recovery::replace(connection, &state.keyring, account, now).await? } else { Vec::new() };
    proof::store::end_proofs(connection, AccountId(account), &[Purpose::SecondFactorReset], now).await?;
    let raising = raise(connection, state, principal, &Assured { level: 2, amr: Spent { method }.amr(), at: now }).await?;
    let detail = json!({ "method": method.name(), "sessions": ended });
    let entry = Entry::own(Event::SecondFactorAdded, &caller.origin, account).detail(detail);
    audit::record(connection, &state.keyring, now, entry).await?;
    mailed::send(connection, state, email, Letter::SecondFactorAdded(method.name())).await?;
    Ok(Added { recovery_codes, raising })
}

/// Remove the authenticator app
///
/// Needs the owner's agreement by mail. With the last second factor the recovery codes go, too, every other session ends, and this one is
/// one without.
#[utoipa::path(delete, path = "/v1/me/mfa/totp", tag = "me",
    responses((status = 200, description = "It is gone; what carries the session now", body = Renewed, headers(("Set-Cookie")))))]
pub async fn remove_totp(signed_in: Fresh<SignedIn>, state: Data<State>, session: Session) -> Result<HttpResponse, ApiError> {
    let Fresh(SignedIn { principal, caller }) = signed_in;
    spend_change(&state, principal.account).await?;
    tokens::know_keys(&state).await?;
    let mut transaction = state.pool.begin().await?;
    let email = lock_own(&mut transaction, &state, &principal).await?;
    mailbox::ensure_shown(&mut transaction, &state, &principal).await?;
    if !store::remove_totp(&mut transaction, principal.account).await? {
        return Err(ApiError::new(ErrorCode::NotFound));
    }
    let raising = removed(&mut transaction, &state, (&principal, &caller, &email), Method::Totp).await?;
    transaction.commit().await?;
    mailed::sent(&state);
    let mut response = HttpResponse::Ok();
    let body = renewed(&mut response, &state, &session, raising)?;
    Ok(response.json(body))
}

/// What goes with every second factor that is removed, in the caller's transaction, behind the account's lock: the second level does not
/// outlive the last of them. [`tokens::know_keys`] comes before it.
pub(super) async fn removed(
    connection: &mut PgConnection,
    state: &State,
    (principal, caller, email): (&Principal, &Caller, &Email),
    method: Method,
) -> Result<Raising, ApiError> {
    let (account, now) = (principal.account, state.clock.now());
    let is_on = factors(connection, account).await?.is_on();
    proof::store::end_proofs(connection, AccountId(account), &[Purpose::SecondFactorReset], now).await?;
    if !is_on {
        store::remove_codes(connection, account).await?;
        sessions::end_others(connection, &state.revocations, principal, now).await?;
    }
    let assured = Assured { level: if is_on { principal.assurance } else { 1 }, amr: Vec::new(), at: principal.authenticated_at };
    let raising = raise(connection, state, principal, &assured).await?;
    let entry = Entry::own(Event::SecondFactorRemoved, &caller.origin, account).detail(json!({ "method": method.name() }));
    audit::record(connection, &state.keyring, now, entry).await?;
    mailed::send(connection, state, email, Letter::SecondFactorRemoved(method.name())).await?;
    Ok(raising)
}

/// Ten codes.
#[derive(Serialize, ToSchema)]
pub struct RecoveryCodes {
    /// Each is good once. They are shown this once.
    #[schema(value_type = Vec<RecoveryCode>, max_items = 10)]
    recovery_codes: Vec<String>,
}

/// Make new recovery codes
///
/// Those before are worth nothing any more. There are none without a second factor.
#[utoipa::path(post, path = "/v1/me/mfa/recovery-codes", tag = "me",
    responses((status = 201, description = "The new codes", body = RecoveryCodes)))]
pub async fn replace_recovery_codes(signed_in: Fresh<SignedIn>, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let Fresh(SignedIn { principal, caller }) = signed_in;
    let (account, now) = (principal.account, state.clock.now());
    spend_change(&state, account).await?;
    let mut transaction = state.pool.begin().await?;
    let email = lock_own(&mut transaction, &state, &principal).await?;
    if !factors(&mut transaction, account).await?.is_on() {
        return Err(ApiError::new(ErrorCode::NotFound));
    }
    let codes = recovery::replace(&mut transaction, &state.keyring, account, now).await?;
    audit::record(&mut transaction, &state.keyring, now, Entry::own(Event::RecoveryCodesReplaced, &caller.origin, account)).await?;
    mailed::send(&mut transaction, &state, &email, Letter::RecoveryCodesReplaced).await?;
    transaction.commit().await?;
    mailed::sent(&state);
    Ok(HttpResponse::Created().json(RecoveryCodes { recovery_codes: codes.iter().map(|code| code.expose_secret().to_owned()).collect() }))
}

/// The address of a signed-in person.
pub(super) async fn own_email(connection: &mut PgConnection, account: Uuid) -> Result<Email, ApiError> {
    let owner = accounts::store::find_own(connection, AccountId(account)).await?.ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated))?;
    mailed::stored(&owner.email)
}
