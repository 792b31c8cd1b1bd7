//! Showing once more who one is, in a session that is there: what changes an account or authority asks for it. With a second factor where the
//! account has one; the password alone is not enough then. The session goes on under a new id and with a new CSRF token, or with a
//! new access token.
//! Practices 10.step-up, 13.rotate, 14.rotation. Attacks: `tests/suite/attacks/s10_access_control/stale_session.rs`.

use crate::{
    access::{Principal, Transport},
    accounts::{self, AccountId, Email},
    api::{
        csrf::bind_cookie,
        reauthenticate::reauthenticate,
        second_factor::{self, Shown},
        shapes::{AccessToken, Assurance, CurrentPassword, OpaqueToken, RecoveryCode, TokenType, TotpCode},
        tokens,
    },
    audit::{self, Entry, Event},
    credentials::{self, password::Password},
    edge::{
        guard::{Caller, SignedIn, demanded_of},
        rate_limit::{Count, Quota, give_back, spend as count},
        valid::Valid,
    },
    error::{ApiError, ErrorCode},
    sessions::{
        self, Assured,
        assurance::{self, Raised},
    },
    state::State,
};
use actix_session::Session;
use actix_web::{
    HttpResponse,
    web::{Data, Json},
};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A proof of who one is: one of `password`, `code` and `recovery_code`.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StepUp {
    /// The account's password, where it has no second factor.
    #[garde(skip)]
    #[schema(value_type = Option<CurrentPassword>)]
    password: Option<Password>,
    /// The authenticator app's six digits.
    #[garde(length(bytes, max = 16))]
    #[schema(value_type = Option<TotpCode>)]
    code: Option<String>,
    /// A recovery code.
    #[garde(length(bytes, max = 64))]
    #[schema(value_type = Option<RecoveryCode>)]
    recovery_code: Option<String>,
}

/// What the session is carried by from now on.
#[derive(Serialize, ToSchema)]
pub struct Renewed {
    /// The session's new CSRF token, where a cookie carries it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<OpaqueToken>, nullable = false)]
    csrf_token: Option<String>,
    /// An access token that tells of the proof, where tokens carry the session. The refresh token stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AccessToken>, nullable = false)]
    access_token: Option<String>,
    /// How the access token is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<TokenType>, nullable = false)]
    token_type: Option<&'static str>,
    /// Seconds that the access token is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 86400, example = 900, nullable = false)]
    expires_in: Option<i64>,
    /// The session's authenticator assurance level.
    #[schema(value_type = Assurance)]
    assurance: i16,
    /// When its owner last showed who they are.
    #[serde(with = "time::serde::rfc3339")]
    authenticated_at: OffsetDateTime,
}

/// A session that is raised, and the access token that says so.
pub(super) struct Raising {
    principal: Principal,
    access_token: Option<(String, i64)>,
}

/// Notes in the caller's transaction that the session's owner has shown who they are. [`tokens::know_keys`] comes before it.
pub(super) async fn raise(connection: &mut PgConnection, state: &State, principal: &Principal, assured: &Assured) -> Result<Raising, ApiError> {
    let now = state.clock.now();
    let raised = assurance::raise(connection, principal.account, principal.session, assured, now).await?;
    let Raised { amr, absolute_expires_at } = raised.ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated))?;
    let principal = Principal { assurance: assured.level, authenticated_at: assured.at, ..*principal };
    let access_token = match principal.transport {
        Transport::Cookie => None,
        Transport::Token => Some(tokens::access_token(connection, state, principal, amr, absolute_expires_at).await?),
    };
    Ok(Raising { principal, access_token })
}

/// After the commit: the cookie gets a new key.
pub(super) fn renewed(session: &Session, raising: Raising) -> Result<Renewed, ApiError> {
    let Raising { principal, access_token } = raising;
    let csrf_token = match principal.transport {
        Transport::Cookie => Some(bind_cookie(session, principal.session)?),
        Transport::Token => None,
    };
    let (access_token, expires_in) = access_token.unzip();
    let token_type = access_token.as_ref().map(|_| "Bearer");
    let Principal { assurance, authenticated_at, .. } = principal;
    Ok(Renewed { csrf_token, access_token, token_type, expires_in, assurance, authenticated_at })
}

/// Show once more that it is you
///
/// With a second factor where the account has one, else with the password. Then, for some minutes, calls that change the account or
/// authority are let through. Wrong ones are counted; after very many in a row the session ends.
#[utoipa::path(post, path = "/v1/auth/step-up", tag = "auth", request_body = StepUp,
    responses((status = 200, description = "What carries the session now", body = Renewed, headers(("Set-Cookie")))))]
pub async fn step_up(signed_in: SignedIn, state: Data<State>, session: Session, body: Valid<Json<StepUp>>) -> Result<HttpResponse, ApiError> {
    let SignedIn { principal, caller } = signed_in;
    let StepUp { password, code, recovery_code } = body.0.into_inner();
    let raising = match password {
        Some(password) if code.is_none() && recovery_code.is_none() => by_password(&state, &principal, &caller, &password).await?,
        Some(_) => return Err(ApiError::invalid_field("password", "is given with something else")),
        None => by_second_factor(&state, &principal, &caller, &Shown::of(code, recovery_code)?).await?,
    };
    Ok(HttpResponse::Ok().json(renewed(&session, raising)?))
}

async fn by_password(state: &State, principal: &Principal, caller: &Caller, password: &Password) -> Result<Raising, ApiError> {
    let demanded = demanded_of(state, principal).await?;
    if demanded.assurance > 1 {
        return Err(ApiError::step_up(demanded));
    }
    let verified = reauthenticate(state, principal, caller, password).await?;
    tokens::know_keys(state).await?;
    let now = state.clock.now();
    let mut transaction = state.pool.begin().await?;
    // changed while it was verified: whoever holds this session may not be the owner
    if !credentials::store::confirm_password(&mut transaction, principal.account, &verified, None).await? {
        return Err(ApiError::new(ErrorCode::WrongPassword));
    }
    let assured = Assured { level: 1, amr: vec!["pwd".into()], at: now };
    let raising = raise(&mut transaction, state, principal, &assured).await?;
    record(&mut transaction, state, principal, caller, "password").await?;
    transaction.commit().await?;
    Ok(raising)
}

async fn by_second_factor(state: &State, principal: &Principal, caller: &Caller, shown: &Shown) -> Result<Raising, ApiError> {
    let owner = accounts::store::find_own(&mut *state.pool.acquire().await?, AccountId(principal.account)).await?;
    let email = owner.and_then(|owner| Email::parse(&owner.email).ok()).ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated))?;
    // not those of devices: whoever took a session over must not use up what the owner signs in with
    let failures = Count::of(state, Quota::LoginFailures, &[email.as_str()]);
    let spent = count(state, &[Count::of(state, Quota::SecondFactor, &[&principal.account.to_string(), "signed in"]), failures]).await?;
    tokens::know_keys(state).await?;
    let shown = show(state, principal, caller, &email, shown).await;
    if !matches!(shown, Ok(None)) {
        give_back(state, &spent).await?;
    }
    if let Some(raising) = shown? {
        return Ok(raising);
    }
    let now = state.clock.now();
    let mut transaction = state.pool.begin().await?;
    let entry = Entry::own(Event::SecondFactorRefused, &caller.origin, principal.account).refused();
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    // a session that may be stolen does not guess for ever (NIST SP 800-63B-4 §3.2.2)
    if spent.is_beyond(state, Quota::LoginFailures) {
        sessions::end_own(&mut transaction, &state.revocations, principal.account, principal.session, now).await?;
    }
    transaction.commit().await?;
    Err(ApiError::new(ErrorCode::InvalidSecondFactor))
}

async fn show(state: &State, principal: &Principal, caller: &Caller, email: &Email, shown: &Shown) -> Result<Option<Raising>, ApiError> {
    let mut transaction = state.pool.begin().await?;
    let Some(spent) = second_factor::spend(&mut transaction, state, principal.account, email, shown).await? else { return Ok(None) };
    let assured = Assured { level: 2, amr: spent.amr(), at: state.clock.now() };
    let raising = raise(&mut transaction, state, principal, &assured).await?;
    record(&mut transaction, state, principal, caller, spent.method.name()).await?;
    transaction.commit().await?;
    Ok(Some(raising))
}

async fn record(connection: &mut PgConnection, state: &State, principal: &Principal, caller: &Caller, method: &str) -> Result<(), ApiError> {
    let detail = json!({ "session": principal.session, "method": method });
    let entry = Entry::own(Event::SteppedUp, &caller.origin, principal.account).detail(detail);
    Ok(audit::record(connection, &state.keyring, state.clock.now(), entry).await?)
}
