//! A body that its handler reads when it is due: `Valid<Unread>`. For calls that are judged by their headers first and whose body is signed
//! byte by byte, so that nothing may parse it before. Practices 11.signature, 4.dos.
//! Attacks: `tests/suite/attacks/s11_webhooks/oversized_webhook.rs`.

use crate::{
    edge::valid::{
        Valid, body,
        header::{MAX_HEADER, single},
    },
    error::ApiError,
};
use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{HeaderMap, HeaderName},
};
use std::future::{Ready, ready};

/// Headers, and what has not been read yet.
pub struct Unread {
    headers: HeaderMap,
    payload: Payload,
}

impl Unread {
    /// The value of a header that is there once, is visible ASCII and at most [`MAX_HEADER`] bytes long.
    #[must_use]
    pub fn header(&self, name: &'static str) -> Option<&str> {
        single(&self.headers, &HeaderName::from_static(name), MAX_HEADER).ok().flatten()
    }

    /// The body, as it comes. What arrives is counted, not what was announced.
    ///
    /// # Errors
    /// 413 for more than `limit` bytes, 400 for a body that breaks off.
    pub async fn read(&mut self, limit: usize) -> Result<Vec<u8>, ApiError> {
        body::read(&mut self.payload, limit).await
    }
}

impl FromRequest for Valid<Unread> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        ready(Ok(Self(Unread { headers: request.headers().clone(), payload: payload.take() })))
    }
}
