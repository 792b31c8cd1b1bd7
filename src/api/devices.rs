//! Where one is signed in, and ending it there. Practices 2.revocation, 14.invalidate-on-sign-out.
//! Attacks: `tests/suite/attacks/s01_authorization/`, `tests/suite/attacks/s14_sessions/`.

use crate::{
    access::Transport,
    api::{
        logout::signed_out,
        shapes::{DeviceName, NetworkAddress},
    },
    audit::{self, Entry, Event},
    edge::{guard::SignedIn, valid::Valid},
    error::{ApiError, ErrorCode},
    sessions::{self, store},
    state::State,
};
use actix_session::Session;
use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A device that is signed in.
#[derive(Serialize, ToSchema)]
pub struct DeviceSession {
    /// Names the session. Not what authenticates it.
    id: Uuid,
    /// The device, as its browser calls itself.
    #[schema(value_type = DeviceName)]
    device: String,
    /// As much of its address as this service keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<NetworkAddress>, nullable = false)]
    address: Option<String>,
    /// How the session is carried: `cookie` or `token`.
    #[schema(value_type = Transport)]
    transport: String,
    /// When it signed in.
    #[serde(with = "time::serde::rfc3339")]
    signed_in_at: OffsetDateTime,
    /// When it was last used, to the minute or so.
    #[serde(with = "time::serde::rfc3339")]
    last_seen_at: OffsetDateTime,
    /// When it ends in any case.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// Whether it is the one that asks.
    is_current: bool,
}

/// Where one is signed in.
#[derive(Serialize, ToSchema)]
pub struct DeviceSessions {
    /// The newest first.
    #[schema(max_items = 1000)]
    items: Vec<DeviceSession>,
}

/// List one's devices
#[utoipa::path(get, path = "/v1/me/sessions", tag = "me", responses((status = 200, description = "The devices", body = DeviceSessions)))]
pub async fn list_sessions(signed_in: SignedIn, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let principal = signed_in.principal;
    let sessions = store::list_own(&mut *state.pool.acquire().await?, principal.account, state.clock.now()).await?;
    let show = |session: store::Listed| DeviceSession {
        id: session.id,
        device: session.device,
        address: session.address,
        transport: session.transport,
        signed_in_at: session.started_at,
        last_seen_at: session.last_seen_at,
        expires_at: session.absolute_expires_at,
        is_current: session.id == principal.session,
    };
    Ok(HttpResponse::Ok().json(DeviceSessions { items: sessions.into_iter().map(show).collect() }))
}

/// Sign one device out
#[utoipa::path(delete, path = "/v1/me/sessions/{id}", tag = "me", params(("id" = Uuid, Path, description = "The session")),
    responses((status = 204, description = "It is signed out")))]
pub async fn revoke_session(signed_in: SignedIn, state: Data<State>, id: Valid<Path<Uuid>>) -> Result<HttpResponse, ApiError> {
    let SignedIn { principal, caller } = signed_in;
    let (id, now) = (id.0.into_inner(), state.clock.now());
    let mut transaction = state.pool.begin().await?;
    if !sessions::end_own(&mut transaction, &state.revocations, principal.account, id, now).await? {
        return Err(ApiError::new(ErrorCode::NotFound));
    }
    let entry = Entry::own(Event::SessionsRevoked, &caller.origin, principal.account).detail(json!({ "session": id, "sessions": 1 }));
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Sign every other device out
#[utoipa::path(delete, path = "/v1/me/sessions", tag = "me", responses((status = 204, description = "They are signed out")))]
pub async fn revoke_other_sessions(signed_in: SignedIn, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let SignedIn { principal, caller } = signed_in;
    let now = state.clock.now();
    let mut transaction = state.pool.begin().await?;
    let ended = sessions::end_others(&mut transaction, &state.revocations, &principal, now).await?;
    let entry = Entry::own(Event::SessionsRevoked, &caller.origin, principal.account).detail(json!({ "sessions": ended }));
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Sign out everywhere
#[utoipa::path(post, path = "/v1/auth/logout-all", tag = "auth", responses((status = 204, description = "Signed out everywhere, here too", headers(("Set-Cookie"), ("Clear-Site-Data")))))]
pub async fn logout_all(signed_in: SignedIn, state: Data<State>, session: Session) -> Result<HttpResponse, ApiError> {
    let SignedIn { principal, caller } = signed_in;
    let now = state.clock.now();
    let mut transaction = state.pool.begin().await?;
    let ended = sessions::end_all(&mut transaction, &state.revocations, principal.account, now).await?;
    let entry = Entry::own(Event::SessionsRevoked, &caller.origin, principal.account).detail(json!({ "sessions": ended }));
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    Ok(signed_out(&principal, &session))
}
