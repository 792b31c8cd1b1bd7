//! So many requests are worked on at once; what comes above that is told to come back, at once and at no cost, so that those in
//! hand are finished. Those who ask how the service is are answered all the same. Practice 4.dos.
//! Attacks: `tests/suite/attacks/s04_rate_limits/request_flood.rs`.

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

pub(super) async fn overload<B: MessageBody + 'static>(
    state: Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    if matches!(request.path(), "/livez" | "/readyz") {
        return next.call(request).await;
    }
    let Ok(_in_hand) = state.in_hand.clone().try_acquire_owned() else {
        metrics::counter!("portcullis_overload_refusals_total").increment(1);
        return Err(ApiError::new(ErrorCode::Unavailable).into());
    };
    next.call(request).await
}
