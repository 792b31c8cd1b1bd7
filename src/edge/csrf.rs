//! Unsafe calls must come from our own pages or from ones on the list. Browsers say where a call comes from (`Origin`,
//! `Sec-Fetch-Site`); with a live session the call must also carry the session's token, which a foreign page cannot read.
//!
//! Without a session there is no token to ask for, so login CSRF is stopped by the two headers alone; a caller that sends
//! neither is no browser and carries no one's cookies.
//! A call with an `Authorization` header has no cookies left (`authenticate.rs`), so it needs no token; where it comes from is looked at
//! all the same, because an answer may set cookies.
//! Practices 13.token, 13.samesite, 13.middleware, 13.bearer-exempt. Attacks: `tests/suite/attacks/s13_csrf/`.

use crate::{
    access::Principal,
    edge::{session_cookie::CSRF, valid::header::single},
    error::{ApiError, ErrorCode},
    platform::crypto,
    settings::Settings,
    state::State,
};
use actix_session::SessionExt;
use actix_web::{
    Error, HttpMessage, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderMap, HeaderName},
    middleware::Next,
    web::Data,
};

/// Carries the session's token on unsafe calls.
pub const CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");

/// What browsers say about the page that calls (W3C Fetch Metadata).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Longest of these headers, in bytes: a host name has 253 at most.
const MAX_LEN: usize = 300;

pub(super) async fn csrf<B: MessageBody + 'static>(
    state: Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if request.method().is_safe() || comes_from_an_allowed_page(request.headers(), &state.settings) && carries_its_token(&request) {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    Ok(request.into_response(ApiError::new(ErrorCode::CsrfRejected).error_response()))
}

/// `Origin` decides when there is one; an opaque origin (`null`) is nobody's. `Sec-Fetch-Site: none` is the person's own doing.
pub(super) fn comes_from_an_allowed_page(headers: &HeaderMap, settings: &Settings) -> bool {
    let mut allowed = std::iter::once(&settings.public_url).chain(&settings.cors_origins);
    match (single(headers, &header::ORIGIN, MAX_LEN), single(headers, &SEC_FETCH_SITE, MAX_LEN)) {
        (Ok(Some(origin)), _) => allowed.any(|known| known.as_str() == origin),
        (Ok(None), Ok(site)) => matches!(site, None | Some("same-origin" | "none")),
        _ => false,
    }
}

fn carries_its_token(request: &ServiceRequest) -> bool {
    let has_no_cookies = request.headers().contains_key(header::AUTHORIZATION);
    if has_no_cookies || request.extensions().get::<Principal>().is_none() {
        return true;
    }
    let expected = request.get_session().get::<String>(CSRF).ok().flatten();
    let given = single(request.headers(), &CSRF_TOKEN, MAX_LEN);
    matches!((expected, given), (Some(expected), Ok(Some(given))) if crypto::equal(expected.as_bytes(), given.as_bytes()))
}
