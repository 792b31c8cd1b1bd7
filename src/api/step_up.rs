//! Showing once more who one is, in a session that is there: what changes an account or authority asks for it. With a second factor where the
//! account has one; the password alone is not enough then. The session goes on under a new key and with a new CSRF token, or with new
//! tokens: what was copied before is worth nothing.
//! Practices 10.step-up, 13.rotate, 14.rotation. Attacks: `tests/suite/attacks/s10_access_control/stale_session.rs`.

use crate::{
    access::{Principal, Transport},
    accounts::{self, AccountId},
    api::{
        csrf::bind_cookie,
        login::note_wrong_password,
        mailed,
        mfa::{lock_own, own_email},
        passkeys::{self, credential::ShownCredential},
        reauthenticate::reauthenticate,
        second_factor::{self, Counted, Place, Sent},
        shapes::{Assurance, CurrentPassword, OpaqueToken, RecoveryCode, TotpCode},
        tokens::{self, Grant, RefreshIn, Tokens},
    },
    audit::{self, Entry, Event},
    credentials::{
        self,
        challenge::{self, Challenge, Purpose},
        password::{Password, StoredHash},
    },
    edge::{
        guard::{Caller, SignedIn, demanded_of},
        rate_limit::give_back,
        valid::{Object, Valid},
    },
    error::{ApiError, ErrorCode},
    platform::crypto::SecretToken,
    sessions::{
        self, Assured,
        assurance::{self, AAL2_LONGEST, Raised},
        refresh,
    },
    state::State,
};
use actix_session::Session;
use actix_web::{
    HttpResponse, HttpResponseBuilder,
    web::{Data, Json},
};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A proof of who one is: `password`, where the account has no second factor; else one of `code`, `recovery_code`, and `passkey` with
/// `passkey_token`. More than a day after the sign-in, `code` and `recovery_code` need the password beside them.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StepUp {
    /// The account's password.
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
    /// What `navigator.credentials.get()` gave for `/v1/auth/step-up/options`, by its `toJSON()`.
    #[garde(dive)]
    #[schema(value_type = Option<ShownCredential>)]
    passkey: Option<Object<ShownCredential>>,
    /// From those options.
    #[garde(length(bytes, max = 64))]
    #[schema(value_type = Option<OpaqueToken>)]
    passkey_token: Option<String>,
}

/// What the session is carried by from now on.
#[derive(Serialize, ToSchema)]
pub struct Renewed {
    /// The session's new CSRF token, where a cookie carries it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<OpaqueToken>, nullable = false)]
    csrf_token: Option<String>,
    /// New tokens, where tokens carry it. Those before are worth nothing any more, and the session has another id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    tokens: Option<Tokens>,
    /// The session's authenticator assurance level.
    #[schema(value_type = Assurance)]
    assurance: i16,
    /// When its owner last showed who they are.
    #[serde(with = "time::serde::rfc3339")]
    authenticated_at: OffsetDateTime,
}

/// A session that is raised, and its new tokens.
pub(super) struct Raising {
    principal: Principal,
    granted: Option<(Grant, (String, i64))>,
}

/// Notes in the caller's transaction that the session's owner has shown who they are. [`tokens::know_keys`] comes before it.
pub(super) async fn raise(connection: &mut PgConnection, state: &State, principal: &Principal, assured: &Assured) -> Result<Raising, ApiError> {
    let now = state.clock.now();
    if matches!(principal.transport, Transport::Outside | Transport::Key) {
        // there is no session here to raise: whoever made the token makes a new one
        return Err(ApiError::new(ErrorCode::Forbidden));
    }
    let raised = assurance::raise(connection, &state.revocations, principal, assured, now).await?;
    let Raised { session, amr, idle_expires_at, absolute_expires_at, has_tie } = raised.ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated))?;
    let principal = Principal { session, assurance: assured.level, authenticated_at: assured.at, ..*principal };
    let granted = match principal.transport {
        Transport::Cookie | Transport::Outside | Transport::Key => None,
        Transport::Token => {
            let tie = has_tie.then(SecretToken::generate);
            let refresh_token = refresh::first(connection, session, tie.as_ref(), now).await?;
            let amr = assurance::counting(amr, assured.level);
            let access_token = tokens::access_token(connection, state, principal, amr, absolute_expires_at).await?;
            Some((Grant { principal, refresh_token, tie, idle_expires_at, absolute_expires_at }, access_token))
        }
    };
    Ok(Raising { principal, granted })
}

/// After the commit: the cookie gets a new key, or the answer the new tokens.
pub(super) fn renewed(response: &mut HttpResponseBuilder, state: &State, session: &Session, raising: Raising) -> Result<Renewed, ApiError> {
    let Raising { principal: Principal { session: id, assurance, authenticated_at, .. }, granted } = raising;
    let (csrf_token, tokens) = match granted {
        None => (Some(bind_cookie(session, id)?), None),
        Some((grant, access_token)) => {
            let refresh_in = if grant.tie.is_some() { RefreshIn::Cookie } else { RefreshIn::Body };
            (None, Some(tokens::give(response, state, grant, access_token, refresh_in)))
        }
    };
    Ok(Renewed { csrf_token, tokens, assurance, authenticated_at })
}

/// Show once more that it is you
///
/// With a second factor where the account has one, else with the password. Then, for some minutes, calls that change the account or
/// authority are let through. Wrong ones are counted.
#[utoipa::path(post, path = "/v1/auth/step-up", tag = "auth", request_body = StepUp,
    responses((status = 200, description = "What carries the session now", body = Renewed, headers(("Set-Cookie")))))]
pub async fn step_up(signed_in: SignedIn, state: Data<State>, session: Session, body: Valid<Json<StepUp>>) -> Result<HttpResponse, ApiError> {
    let SignedIn { principal, caller } = signed_in;
    let StepUp { password, code, recovery_code, passkey, passkey_token } = body.0.into_inner();
    if passkey.is_some() != passkey_token.is_some() {
        return Err(ApiError::invalid_field("passkey_token", "and passkey are to be given together"));
    }
    let is_alone = code.is_none() && recovery_code.is_none() && passkey.is_none();
    let sent = if is_alone { None } else { Some(Sent::of(code, recovery_code, passkey)?) };
    let verified = match &password {
        Some(password) => {
            let demanded = demanded_of(&state, &principal).await?;
            if is_alone && demanded.assurance > 1 {
                return Err(ApiError::invalid_field("password", "is not enough: the account has a second factor, give that"));
            }
            Some(reauthenticate(&state, &principal, &caller, password).await?)
        }
        None => None,
    };
    tokens::know_keys(&state).await?;
    let raising = match (sent, verified) {
        (None, None) => return Err(ApiError::invalid_field("password", "is to be given, or code, recovery_code or passkey")),
        (None, Some(verified)) => by_password(&state, &principal, &caller, &verified).await?,
        (Some(sent), verified) => by_second_factor(&state, &principal, &caller, (sent, passkey_token), verified.as_ref()).await?,
    };
    let mut response = HttpResponse::Ok();
    let body = renewed(&mut response, &state, &session, raising)?;
    Ok(response.json(body))
}

/// Changed while it was verified: whoever holds this session may not be the owner.
async fn confirm(connection: &mut PgConnection, account: Uuid, verified: &StoredHash) -> Result<(), ApiError> {
    let is_same = credentials::store::confirm_password(connection, account, verified, None).await?;
    if is_same { Ok(()) } else { Err(ApiError::new(ErrorCode::WrongPassword)) }
}

async fn by_password(state: &State, principal: &Principal, caller: &Caller, verified: &StoredHash) -> Result<Raising, ApiError> {
    let mut transaction = state.pool.begin().await?;
    accounts::store::lock(&mut transaction, AccountId(principal.account)).await?;
    confirm(&mut transaction, principal.account, verified).await?;
    let assured = Assured { level: 1, amr: vec!["pwd".into()], at: state.clock.now() };
    let raising = raise(&mut transaction, state, principal, &assured).await?;
    record(&mut transaction, state, &raising, caller, "password").await?;
    transaction.commit().await?;
    Ok(raising)
}

async fn by_second_factor(
    state: &State,
    principal: &Principal,
    caller: &Caller,
    (sent, token): (Sent, Option<String>),
    password: Option<&StoredHash>,
) -> Result<Raising, ApiError> {
    let asked = match token {
        Some(token) => Some(passkeys::begun(state, principal, Purpose::PasskeyStepUp, token).await?),
        None => None,
    };
    let Counted { spent, is_beyond } = second_factor::count(state, principal.account, Place::Session(principal.session), &sent).await?;
    let raised = if is_beyond { Ok(None) } else { show(state, principal, caller, (sent, asked), password).await };
    if !matches!(raised, Ok(None)) {
        give_back(state, &spent).await?;
    }
    if let Some(raising) = raised? {
        return Ok(raising);
    }
    let entry = Entry::own(Event::SecondFactorRefused, &caller.origin, principal.account).refused();
    let mut connection = state.pool.acquire().await?;
    audit::record(&mut connection, &state.keyring, state.clock.now(), entry).await?;
    note_wrong_password(state, caller, own_email(&mut connection, principal.account).await?.as_str(), Some(principal.account));
    Err(ApiError::new(ErrorCode::InvalidSecondFactor))
}

async fn show(
    state: &State,
    principal: &Principal,
    caller: &Caller,
    (sent, asked): (Sent, Option<Challenge>),
    password: Option<&StoredHash>,
) -> Result<Option<Raising>, ApiError> {
    let now = state.clock.now();
    let question = asked.as_ref().map(Challenge::state).transpose()?;
    if let Some(asked) = &asked {
        challenge::count_try(&mut *state.pool.acquire().await?, asked.id, now).await?;
    }
    let is_passkey = matches!(sent, Sent::Passkey(_));
    let email = own_email(&mut *state.pool.acquire().await?, principal.account).await?;
    let shown = sent.look(state, caller, (principal.account, &email), question).await?;
    let mut transaction = state.pool.begin().await?;
    let email = lock_own(&mut transaction, state, principal).await?;
    let history = sessions::assurance::store::history(&mut transaction, principal.account, principal.session).await?;
    let (started_at, _) = history.ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated))?;
    match password {
        Some(verified) => confirm(&mut transaction, principal.account, verified).await?,
        // the session stands in for the first factor, for a day (NIST SP 800-63B-4 §2.2.3); a passkey is two by itself
        None if !is_passkey && now - started_at > AAL2_LONGEST => {
            return Err(ApiError::invalid_field("password", "is needed, too: you signed in more than a day ago"));
        }
        None => {}
    }
    let Some(spent) = second_factor::spend(&mut transaction, state, principal.account, &email, &shown).await? else { return Ok(None) };
    if let Some(asked) = asked {
        challenge::spend(&mut transaction, asked.id, now).await?;
    }
    let raising = raise(&mut transaction, state, principal, &Assured { level: 2, amr: spent.amr(), at: now }).await?;
    record(&mut transaction, state, &raising, caller, spent.method.name()).await?;
    transaction.commit().await?;
    mailed::sent(state);
    Ok(Some(raising))
}

async fn record(connection: &mut PgConnection, state: &State, raising: &Raising, caller: &Caller, method: &str) -> Result<(), ApiError> {
    let Principal { account, session, .. } = raising.principal;
    let entry = Entry::own(Event::SteppedUp, &caller.origin, account).detail(json!({ "session": session, "method": method }));
    Ok(audit::record(connection, &state.keyring, state.clock.now(), entry).await?)
}
