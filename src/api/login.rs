//! Signing in with a password, and out. Quotas first, then the look-up, then always exactly one argon2 verification, then the
//! same answer for a wrong password and an unknown address.
//! Practices 1.session, 4.brute-force, 13.token, 14.rotation, 14.invalidate-on-sign-out.
//! Attacks: `tests/suite/attacks/s14_sessions/`, `tests/suite/attacks/s15_broken_authentication/`.

use crate::{
    accounts::{AccountId, Email},
    credentials::{
        self,
        password::{Password, Verdict},
    },
    edge::{
        guard::{Anyone, SignedIn},
        rate_limit::{Quota, give_back, spend, subject},
        session_cookie::{CSRF, SESSION_ID},
        valid::{Field, Valid},
    },
    error::{ApiError, ErrorCode},
    platform::crypto::SecretToken,
    sessions::{self, Started},
    state::State,
};
use actix_session::Session;
use actix_web::{
    HttpResponse,
    web::{Data, Json},
};
use garde::Validate;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// An address and its password.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The account's address.
    #[garde(dive)]
    #[schema(value_type = String, format = "email", max_length = 254, example = "ada@example.org")]
    email: Field<Email>,
    /// The account's password.
    #[garde(skip)]
    #[schema(value_type = String, format = "password")]
    password: Password,
}

/// A new session.
#[derive(Serialize, ToSchema)]
pub struct SignedInAnswer {
    /// Who is signed in.
    account_id: AccountId,
    /// Names the session in lists. Not what authenticates it.
    session_id: Uuid,
    /// To be sent as `X-CSRF-Token` on unsafe calls.
    csrf_token: String,
    /// The session ends at this time unless it is used before.
    #[serde(with = "time::serde::rfc3339")]
    idle_expires_at: OffsetDateTime,
    /// The session ends at this time in any case.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// Sign in
///
/// Sets the session cookie. A session that the browser had before ends.
#[utoipa::path(post, path = "/v1/auth/login", tag = "auth", request_body = Login,
    responses((status = 200, description = "Signed in", body = SignedInAnswer)))]
pub async fn login(caller: Anyone, state: Data<State>, session: Session, body: Valid<Json<Login>>) -> Result<HttpResponse, ApiError> {
    let Login { email, password } = body.0.into_inner();
    let email = email.take("email")?;
    let from_address = subject(&state, &[email.as_str(), &caller.client.network().to_string()]);
    let to_account = subject(&state, &[email.as_str()]);
    spend(&state, Quota::LoginFromAddress, &from_address).await?;
    spend(&state, Quota::LoginToAccount, &to_account).await?;

    let verified = verify(&state, &email, &password).await;
    // only a wrong password counts: neither the owner's own sign-ins nor our own faults may lock the owner out
    if !matches!(&verified, Err(error) if error.code() == ErrorCode::InvalidCredentials) {
        give_back(&state, Quota::LoginFromAddress, &from_address).await?;
        give_back(&state, Quota::LoginToAccount, &to_account).await?;
    }
    let account = verified?;
    let started = start_session(&state, account, &caller).await?;
    let csrf_token = bind_cookie(&session, &started)?;
    Ok(HttpResponse::Ok().json(SignedInAnswer {
        account_id: AccountId(account),
        session_id: started.id,
        csrf_token,
        idle_expires_at: started.idle_expires_at,
        expires_at: started.absolute_expires_at,
    }))
}

async fn verify(state: &State, email: &Email, password: &Password) -> Result<Uuid, ApiError> {
    let found = credentials::store::password_for_sign_in(&mut *state.pool.acquire().await?, email).await?;
    let (account, stored) = found.unzip();
    let verdict = state.passwords.verify(password, stored.clone()).await?;
    let (Some(account), Some(stored), Verdict::Right { upgraded }) = (account, stored, verdict) else {
        metrics::counter!("portcullis_logins_total", "outcome" => "refused").increment(1);
        return Err(ApiError::new(ErrorCode::InvalidCredentials));
    };
    metrics::counter!("portcullis_logins_total", "outcome" => "ok").increment(1);
    if let Some(upgraded) = upgraded {
        credentials::store::upgrade_password(&mut *state.pool.acquire().await?, account, &stored, &upgraded).await?;
    }
    Ok(account)
}

async fn start_session(state: &State, account: Uuid, caller: &Anyone) -> Result<Started, ApiError> {
    let now = state.clock.now();
    let mut transaction = state.pool.begin().await?;
    if let Some(before) = &caller.principal {
        sessions::end_own(&mut transaction, before, now).await?;
    }
    let started = sessions::start(&mut transaction, account, now, state.settings.sessions).await?;
    transaction.commit().await?;
    Ok(started)
}

/// A new key for the cookie, whatever key the browser came with (session fixation), and a new CSRF token.
fn bind_cookie(session: &Session, started: &Started) -> Result<String, ApiError> {
    let token = SecretToken::generate();
    session.clear();
    session.insert(SESSION_ID, started.id)?;
    session.insert(CSRF, token.expose())?;
    session.renew();
    Ok(token.expose().to_owned())
}

/// The session's CSRF token.
#[derive(Serialize, ToSchema)]
pub struct CsrfToken {
    /// To be sent as `X-CSRF-Token` on unsafe calls.
    csrf_token: String,
}

/// Read the CSRF token
///
/// For pages that were loaded anew; the token stays the same for the whole session.
#[utoipa::path(get, path = "/v1/auth/csrf", tag = "auth", responses((status = 200, description = "The token", body = CsrfToken)))]
pub async fn csrf(_: SignedIn, session: Session) -> Result<HttpResponse, ApiError> {
    let csrf_token = session.get(CSRF).ok().flatten().ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated))?;
    Ok(HttpResponse::Ok().json(CsrfToken { csrf_token }))
}

/// Sign out
///
/// The session ends on the server; the cookie is removed and leads nowhere.
#[utoipa::path(post, path = "/v1/auth/logout", tag = "auth", responses((status = 204, description = "Signed out")))]
pub async fn logout(SignedIn(principal): SignedIn, state: Data<State>, session: Session) -> Result<HttpResponse, ApiError> {
    sessions::end_own(&mut *state.pool.acquire().await?, &principal, state.clock.now()).await?;
    session.purge();
    Ok(HttpResponse::NoContent().finish())
}
