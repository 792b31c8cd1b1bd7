//! A request names one host that could be one, and a path: whoever stands in front may have decided by them (RFC 9112 §3.2, RFC 9113
//! §8.3.1). What it says
//! is believed nowhere: links are built from the settings. Practice 3.headers.
//! Attacks: `tests/suite/attacks/s03_validation/request_smuggling.rs`, `tests/interop/http2.rs`.

use crate::error::{ApiError, ErrorCode};
use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, Version, header, uri::Authority},
    middleware::Next,
};

pub(super) async fn one_host<B: MessageBody + 'static>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    if names_one_host(&request) { next.call(request).await } else { Err(ApiError::new(ErrorCode::Malformed).into()) }
}

/// An absolute target must name the same host; one without a path, as for a tunnel, names nothing here. `*` is for OPTIONS.
fn names_one_host(request: &ServiceRequest) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).map(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let target = request.uri();
    match (hosts.next(), hosts.next()) {
        (Some(Some(host)), None) => {
            !host.as_str().contains('@')
                && (target.path().starts_with('/') || request.method() == Method::OPTIONS)
                && target.authority().is_none_or(|authority| target.scheme().is_some() && *authority == host)
        }
        // HTTP/1.0 has none
        (None, None) => request.version() <= Version::HTTP_10 && target.authority().is_none(),
        _ => false,
    }
}
