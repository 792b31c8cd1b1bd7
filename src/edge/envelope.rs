//! Every refusal leaves in the envelope, whoever made it: a handler, a middleware, the framework. Text that a library wrote
//! for its own errors is dropped, because nobody has checked what it tells (practices 8.no-leak, 8.envelope).
//! Attacks: `tests/suite/attacks/s08_errors/`.

use crate::{
    edge::request_log::RequestId,
    error::{self, ApiError, Enveloped, ErrorCode},
    state::State,
};
use actix_session::storage::{SaveError, UpdateError};
use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{StatusCode, header},
    middleware::Next,
    web::Data,
};

pub(super) async fn envelope<B: MessageBody + 'static>(
    state: Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = request.extensions().get::<RequestId>().map(|RequestId(id)| *id);
    let complete = move |refusal| error::complete(refusal, state.settings.public_url.as_str(), id);
    let response = match next.call(request).await {
        Ok(response) => response,
        Err(error) => {
            let mut error = into_api_error(error);
            error.add_response_mapper(complete);
            return Err(error);
        }
    };
    if !response.status().is_client_error() && !response.status().is_server_error() {
        return Ok(response.map_into_boxed_body());
    }
    let (request, old) = response.into_parts();
    let is_enveloped = old.extensions().get::<Enveloped>().is_some();
    let refusal = if is_enveloped { old.map_into_boxed_body() } else { in_envelope(&old) };
    Ok(ServiceResponse::new(request, complete(refusal)))
}

fn in_envelope(old: &HttpResponse<impl MessageBody>) -> HttpResponse {
    let code = old.error().and_then(known_error).unwrap_or_else(|| code_for(old.status()));
    let refusal = match old.error() {
        // the text goes to the log, not into the answer
        Some(error) if code == ErrorCode::Internal => ApiError::internal(anyhow::anyhow!("{error}")),
        _ => ApiError::new(code),
    };
    let mut new = HttpResponse::from_error(refusal);
    keep_headers(old, &mut new);
    new
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
