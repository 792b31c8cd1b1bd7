//! A request's head has a size and a number of fields, the same over HTTP/1.1 and HTTP/2: what is over them is refused before anything
//! looks into it (practices 3.headers, 4.dos). Attacks: `tests/suite/attacks/s04_rate_limits/large_head.rs`.

use crate::{
    error::{ApiError, ErrorCode},
    state::State,
};
use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Data,
};

/// What a field costs beside its name and value (RFC 9113 §6.5.2).
const FIELD_OVERHEAD: usize = 32;

pub(super) async fn header_limit<B: MessageBody + 'static>(
    state: Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let limits = &state.settings.connections;
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let bytes: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD_OVERHEAD).sum();
    if target + bytes > limits.head || request.headers().len() > limits.fields {
        return Err(ApiError::new(ErrorCode::HeadersTooLarge).into());
    }
    next.call(request).await
}
