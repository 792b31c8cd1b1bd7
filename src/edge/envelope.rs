//! Every refusal leaves in the envelope, whoever made it: a handler, a middleware, the framework. Text that a library wrote
//! for its own errors is dropped, because nobody has checked what it tells (practices 8.no-leak, 8.envelope).
//! Attacks: `tests/suite/attacks/s08_errors/`.

use crate::error::{ApiError, Enveloped, ErrorCode};
use actix_session::storage::{SaveError, UpdateError};
use actix_web::{
    Error, HttpResponse, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{StatusCode, header},
    middleware::Next,
};

pub(super) async fn envelope<B: MessageBody + 'static>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = next.call(request).await.map_err(into_api_error)?;
    let is_refusal = response.status().is_client_error() || response.status().is_server_error();
    if !is_refusal || response.response().extensions().get::<Enveloped>().is_some() {
        return Ok(response.map_into_boxed_body());
    }
    let (request, old) = response.into_parts();
    let code = old.error().and_then(known_error).unwrap_or_else(|| code_for(old.status()));
    let mut new = ApiError::new(code).error_response();
    keep_headers(&old, &mut new);
    Ok(ServiceResponse::new(request, new))
}

/// What a middleware fails with becomes ours. The session middleware fails when its store does: the database is away.
fn into_api_error(error: Error) -> Error {
    if error.as_error::<ApiError>().is_some() {
        return error;
    }
    let is_store_error = error.as_error::<InternalError<anyhow::Error>>().is_some()
        || error.as_error::<InternalError<SaveError>>().is_some()
        || error.as_error::<InternalError<UpdateError>>().is_some();
    if is_store_error {
        return ApiError::unavailable(anyhow::anyhow!("session store: {error}")).into();
    }
    match code_for(error.as_response_error().status_code()) {
        ErrorCode::Internal => ApiError::internal(anyhow::anyhow!("{error}")).into(),
        code => ApiError::new(code).into(),
    }
}

fn known_error(error: &Error) -> Option<ErrorCode> {
    error.as_error::<actix_cors::CorsError>().map(|_| ErrorCode::OriginNotAllowed)
}

fn code_for(status: StatusCode) -> ErrorCode {
    match status {
        StatusCode::UNAUTHORIZED => ErrorCode::Unauthenticated,
        StatusCode::NOT_FOUND => ErrorCode::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => ErrorCode::MethodNotAllowed,
        StatusCode::REQUEST_TIMEOUT => ErrorCode::Timeout,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorCode::UnsupportedMediaType,
        StatusCode::TOO_MANY_REQUESTS => ErrorCode::RateLimited,
        StatusCode::SERVICE_UNAVAILABLE => ErrorCode::Unavailable,
        status if status.is_client_error() => ErrorCode::Malformed,
        _ => ErrorCode::Internal,
    }
}

/// Headers say things that the new body does not (`Allow`, `Retry-After`, CORS, cookies); only those about the old body go.
fn keep_headers(old: &HttpResponse<impl MessageBody>, new: &mut HttpResponse) {
    for (name, value) in old.headers() {
        if *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH {
            new.headers_mut().append(name.clone(), value.clone());
        }
    }
}
