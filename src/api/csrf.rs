//! The session cookie's new key, and the CSRF token that goes with it. Practices 13.token, 13.rotate, 14.rotation.
//! Attacks: `tests/suite/attacks/s14_sessions/session_fixation.rs`, `tests/suite/attacks/s13_csrf/`.

use crate::{
    api::shapes::OpaqueToken,
    edge::{
        guard::WithCookie,
        session_cookie::{CSRF, SESSION_ID},
    },
    error::{ApiError, ErrorCode},
    platform::crypto::SecretToken,
};
use actix_session::Session;
use actix_web::HttpResponse;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A new key for the cookie, whatever key the browser came with (session fixation), and a new CSRF token.
pub(super) fn bind_cookie(session: &Session, id: Uuid) -> Result<String, ApiError> {
    let token = SecretToken::generate();
    session.clear();
    session.insert(SESSION_ID, id)?;
    session.insert(CSRF, token.expose())?;
    session.renew();
    Ok(token.expose().to_owned())
}

/// The session's CSRF token.
#[derive(Serialize, ToSchema)]
pub struct CsrfToken {
    /// To be sent as `X-CSRF-Token` on unsafe calls.
    #[schema(value_type = OpaqueToken)]
    pub(super) csrf_token: String,
}

/// Read the CSRF token
///
/// For pages that were loaded anew; the token stays the same until the session's id is renewed. Calls with access tokens need none.
#[utoipa::path(get, path = "/v1/auth/csrf", tag = "auth", responses((status = 200, description = "The token", body = CsrfToken)))]
pub async fn csrf(_: WithCookie, session: Session) -> Result<HttpResponse, ApiError> {
    let csrf_token = session.get(CSRF).ok().flatten().ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated))?;
    Ok(HttpResponse::Ok().json(CsrfToken { csrf_token }))
}
