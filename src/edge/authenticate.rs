//! Turns a live session into the request's [`Principal`]; nothing else does. `Authorization` or the cookie, never both: with
//! the header present the cookie is not even read, so that no request can mix two identities (practice 13.bearer-exempt).
//!
//! Of the cookies, only ours go on, by their exact names. The cookie parser behind decodes percent signs in names, and a browser
//! that guards `__Host-…` lets a sibling site set `__Host%2D…`: the victim would work in the attacker's session.
//! Attacks: `tests/suite/attacks/s14_sessions/cookie_tossing.rs`.

use crate::{
    access::Principal,
    edge::{
        known_device,
        session_cookie::{self, PRINCIPAL},
    },
    error::{ApiError, ErrorCode},
};
use actix_session::SessionExt;
use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderValue},
    middleware::Next,
};

pub(super) async fn one_identity<B: MessageBody + 'static>(mut request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let is_authorized_otherwise = request.headers().contains_key(header::AUTHORIZATION);
    let cookies = request.headers_mut().remove(header::COOKIE);
    if !is_authorized_otherwise && let Some(own) = own_cookies(cookies.map(|value| value.as_bytes().to_vec()))? {
        request.headers_mut().insert(header::COOKIE, own);
    }
    next.call(request).await
}

/// Each of our cookies as it was sent.
///
/// # Errors
/// 400 when one of them comes twice: whose is which?
fn own_cookies(headers: impl Iterator<Item = Vec<u8>>) -> Result<Option<HeaderValue>, ApiError> {
    let mut own: Vec<(&str, String)> = Vec::new();
    for header in headers {
        let text = String::from_utf8(header).unwrap_or_default();
        for (name, value) in text.split(';').filter_map(|pair| pair.trim().split_once('=')) {
            let Some(known) = [session_cookie::COOKIE, known_device::COOKIE].into_iter().find(|known| *known == name) else { continue };
            if own.iter().any(|(name, _)| *name == known) {
                return Err(ApiError::new(ErrorCode::Malformed));
            }
            own.push((known, value.to_owned()));
        }
    }
    let own: Vec<String> = own.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    Ok(if own.is_empty() { None } else { HeaderValue::try_from(own.join("; ")).ok() })
}

pub(super) async fn authenticate<B: MessageBody + 'static>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let principal = request.get_session().get::<Principal>(PRINCIPAL).ok().flatten();
    if let Some(principal) = principal {
        request.extensions_mut().insert(principal);
    }
    next.call(request).await
}
