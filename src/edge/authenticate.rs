//! Turns a live session into the request's [`Principal`]; nothing else does. `Authorization` or the cookie, never both: with
//! the header present the cookie is not even read, so that no request can mix two identities (practice 13.bearer-exempt).

use crate::{access::Principal, edge::session_cookie::PRINCIPAL};
use actix_session::SessionExt;
use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header,
    middleware::Next,
};

pub(super) async fn one_identity<B: MessageBody + 'static>(mut request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    if request.headers().contains_key(header::AUTHORIZATION) {
        request.headers_mut().remove(header::COOKIE);
    }
    next.call(request).await
}

pub(super) async fn authenticate<B: MessageBody + 'static>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let principal = request.get_session().get::<Principal>(PRINCIPAL).ok().flatten();
    if let Some(principal) = principal {
        request.extensions_mut().insert(principal);
    }
    next.call(request).await
}
