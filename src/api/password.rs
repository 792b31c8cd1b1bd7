//! Changing one's password: with the old one, and whoever else was signed in is not any more. A session with tokens ends too: a copy
//! of its refresh token would go on with it, where a cookie gets a new key.
//! Practices 14.invalidate-on-password-change, 14.rotation, 13.rotate.
//! Attacks: `tests/suite/attacks/s14_sessions/password_change.rs`.

use crate::{
    access::Transport,
    accounts::{
        self, AccountId,
        proof::{self, Purpose},
    },
    api::{
        api_keys,
        csrf::{CsrfToken, bind_cookie},
        logout::take_away,
        mailbox, mailed,
        mfa::lock_own,
        reauthenticate::reauthenticate,
        shapes::{CurrentPassword, NewPassword},
    },
    audit::{self, Entry, Event},
    credentials::{self, challenge, password::Password},
    edge::{
        guard::{Fresh, SignedIn},
        known_device,
        valid::Valid,
    },
    error::{ApiError, ErrorCode},
    letters::Letter,
    sessions,
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
use utoipa::ToSchema;

/// Changes the password.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The password so far, if there is one.
    #[garde(skip)]
    #[schema(value_type = Option<CurrentPassword>)]
    current_password: Option<Password>,
    /// The new password: 15 to 128 characters, nothing common, nothing about its owner.
    #[garde(skip)]
    #[schema(value_type = NewPassword)]
    password: Password,
}

/// Change one's password
///
/// Every other session, every API key and every one-time link ends, other devices are unknown again, and the owner is told. A session with a cookie
/// goes on under a new id and with a new CSRF token; one with tokens ends, and its client signs in with the new password. A first password, in
/// an account without a second factor, needs its owner's agreement by mail.
#[utoipa::path(post, path = "/v1/me/password", tag = "me", request_body = ChangePassword,
    responses((status = 200, description = "The session's new CSRF token", body = CsrfToken, headers(("Set-Cookie"))),
        (status = 204, description = "Changed and signed out: it was a session with tokens", headers(("Set-Cookie"), ("Clear-Site-Data")))))]
pub async fn change_password(
    signed_in: Fresh<SignedIn>,
    state: Data<State>,
    session: Session,
    body: Valid<Json<ChangePassword>>,
) -> Result<HttpResponse, ApiError> {
    let ChangePassword { current_password, password } = body.0.into_inner();
    let Fresh(SignedIn { principal, caller }) = signed_in;
    let owner = AccountId(principal.account);
    let verified = match current_password {
        Some(current) => Some(reauthenticate(&state, &principal, &caller, &current).await?),
        // nothing shows that it is the owner who adds this way in: not where a password became void, either
        None if credentials::store::own_password(&mut *state.pool.acquire().await?, owner.0).await?.is_none() => {
            mailbox::ensure_agreed(&mut *state.pool.acquire().await?, &state, &principal).await?;
            None
        }
        None => return Err(ApiError::invalid_field("current_password", "is missing")),
    };
    let account = accounts::store::find_own(&mut *state.pool.acquire().await?, owner).await?;
    let account = account.ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated))?;
    let email = mailed::stored(&account.email)?;
    let hash = mailed::new_password(&state, owner.0, &password, vec![account.email, account.name]).await?;

    let now = state.clock.now();
    let may_notify = mailed::may_notify(&state, &email).await?;
    let mut transaction = state.pool.begin().await?;
    lock_own(&mut transaction, &state, &principal).await?;
    let is_active = accounts::store::forget_devices(&mut transaction, owner, now).await?;
    let is_set = match verified {
        Some(verified) => credentials::store::confirm_password(&mut transaction, owner.0, &verified, Some(&hash)).await?,
        None => credentials::store::set_first_password(&mut transaction, owner.0, &hash, now).await?,
    };
    // a reset came in between: whoever holds this session may not be the owner
    if !is_active || !is_set {
        return Err(ApiError::new(ErrorCode::WrongPassword));
    }
    challenge::store::end_all(&mut transaction, owner.0, now).await?;
    let ended = match principal.transport {
        Transport::Cookie => sessions::end_others(&mut transaction, &state.revocations, &principal, now).await?,
        Transport::Token | Transport::Outside | Transport::Key => sessions::end_all(&mut transaction, &state.revocations, owner.0, now).await?,
    };
    api_keys::revoke_all(&mut transaction, &state, &caller.origin, (owner.0, owner.0)).await?;
    proof::store::end_proofs(&mut transaction, owner, &Purpose::ENDED_BY_RECOVERY, now).await?;
    let entry = Entry::own(Event::PasswordChanged, &caller.origin, owner.0).detail(json!({ "sessions": ended }));
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    if may_notify {
        mailed::send(&mut transaction, &state, &email, Letter::PasswordChanged).await?;
    }
    transaction.commit().await?;
    mailed::sent(&state);
    let device = known_device::cookie(&state, caller.device_cookie.as_deref(), None, &email);
    match principal.transport {
        Transport::Cookie => Ok(HttpResponse::Ok().cookie(device).json(CsrfToken { csrf_token: bind_cookie(&session, principal.session)? })),
        Transport::Token | Transport::Outside | Transport::Key => {
            let mut answer = HttpResponse::NoContent();
            take_away(&mut answer, &principal, &session);
            Ok(answer.cookie(device).finish())
        }
    }
}
