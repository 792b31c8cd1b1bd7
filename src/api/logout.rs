//! Signing out: the session ends on the server, and the browser forgets what it has of it. Practice 14.invalidate-on-sign-out.
//! Attacks: `tests/suite/attacks/s14_sessions/stolen_cookie_after_sign_out.rs`.

use crate::{
    access::{Principal, Transport},
    audit::{self, Entry, Event},
    edge::{guard::SignedIn, refresh_cookie},
    error::{ApiError, ErrorCode},
    sessions,
    state::State,
};
use actix_session::Session;
use actix_web::{HttpResponse, HttpResponseBuilder, http::header::CLEAR_SITE_DATA, web::Data};
use serde_json::json;

/// Sign out
///
/// The session ends on the server, with every token of it; its cookie is removed and leads nowhere.
#[utoipa::path(post, path = "/v1/auth/logout", tag = "auth", responses((status = 204, description = "Signed out", headers(("Set-Cookie"), ("Clear-Site-Data")))))]
pub async fn logout(signed_in: SignedIn, state: Data<State>, session: Session) -> Result<HttpResponse, ApiError> {
    let SignedIn { principal, caller } = signed_in;
    // there is no session here to end, and to say that there was would be a lie
    if matches!(principal.transport, Transport::Outside | Transport::Key) {
        return Err(ApiError::new(ErrorCode::Forbidden));
    }
    let now = state.clock.now();
    let mut transaction = state.pool.begin().await?;
    sessions::end_own(&mut transaction, &state.revocations, principal.account, principal.session, now).await?;
    let entry = Entry::own(Event::SignedOut, &caller.origin, principal.account).detail(json!({ "session": principal.session }));
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    Ok(signed_out(&principal, &session))
}

/// What a browser forgets of this origin when somebody signs out. Not `"cookies"`: that would take those of the whole registrable domain,
/// other services' too, and the one by which this device is known; ours are taken away by name.
const FORGET: &str = r#""cache", "storage""#;

/// With this answer goes what carried the session, and what a page has kept of it.
pub(super) fn take_away(answer: &mut HttpResponseBuilder, principal: &Principal, session: &Session) {
    answer.insert_header((CLEAR_SITE_DATA, FORGET));
    match principal.transport {
        Transport::Cookie => session.purge(),
        Transport::Token => refresh_cookie::removals().into_iter().for_each(|removal| _ = answer.cookie(removal)),
        Transport::Outside | Transport::Key => {}
    }
}

/// The answer of having signed out.
pub(super) fn signed_out(principal: &Principal, session: &Session) -> HttpResponse {
    let mut answer = HttpResponse::NoContent();
    take_away(&mut answer, principal, session);
    answer.finish()
}
