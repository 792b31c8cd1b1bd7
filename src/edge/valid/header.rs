//! Headers that are read: `Valid<Header<T>>` for handlers, [`single`] for layers. Those are all there are: `Content-Type` and
//! `Content-Encoding` (bodies), `Origin`, `Sec-Fetch-Site` and `X-CSRF-Token` (CSRF), `Authorization` and `Cookie` (who calls),
//! `X-Forwarded-*` (from trusted proxies only), `User-Agent` (reduced to a closed list of names), and what handlers take.

use crate::{
    edge::valid::Valid,
    error::{ApiError, FieldError},
};
use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{Header as Typed, HeaderMap, HeaderName},
    web::Header,
};
use std::future::{Ready, ready};

/// Longest header that a handler reads, all its lines together, in bytes.
pub const MAX_HEADER: usize = 1024;

/// The value of a header that may come once.
///
/// # Errors
/// It comes twice, is longer than `max` bytes, or not visible ASCII.
pub fn single<'h>(headers: &'h HeaderMap, name: &HeaderName, max: usize) -> Result<Option<&'h str>, FieldError> {
    let refuse = |reason: &'static str| FieldError { field: name.to_string(), reason: reason.into() };
    let mut lines = headers.get_all(name);
    let (first, second) = (lines.next(), lines.next());
    match first {
        Some(_) if second.is_some() => Err(refuse("occurs twice")),
        Some(line) if line.len() > max => Err(refuse("is too long")),
        Some(line) => line.to_str().map(Some).map_err(|_| refuse("is not visible ASCII")),
        None => Ok(None),
    }
}

impl<T: Typed> FromRequest for Valid<Header<T>> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let refuse = |reason: &'static str| ApiError::invalid_field(T::name().as_str(), reason);
        let lines = || request.headers().get_all(T::name());
        ready(if lines().map(|line| line.len()).sum::<usize>() > MAX_HEADER {
            Err(refuse("is longer than 1024 bytes"))
        } else if lines().any(|line| line.to_str().is_err()) {
            Err(refuse("is not visible ASCII"))
        } else {
            T::parse(request).map(|value| Self(Header(value))).map_err(|_| refuse("is not valid"))
        })
    }
}
