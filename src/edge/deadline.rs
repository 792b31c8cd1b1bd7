//! No request holds a place for ever: one that dribbles its body in ends with 408 (practice 4.dos).
//! Attacks: `tests/suite/attacks/s04_rate_limits/slow_body.rs`.

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

pub(super) async fn deadline<B: MessageBody + 'static>(
    state: Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let answer = tokio::time::timeout(state.settings.request_timeout, next.call(request)).await;
    answer.unwrap_or_else(|_| Err(ApiError::new(ErrorCode::Timeout).into()))
}
