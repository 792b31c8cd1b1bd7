//! So many requests are worked on at once, and so many of one client address; what comes above that is told to come back, at once and
//! at no cost, so that those in hand are finished, and a few clients with unfinished bodies keep nobody out. Those who ask how the
//! service is are answered all the same. Practice 4.dos.
//! Attacks: `tests/suite/attacks/s04_rate_limits/request_flood.rs`.

use crate::{
    edge::{
        client_ip::ClientIp,
        rate_limit::{self, Quota},
    },
    error::{ApiError, ErrorCode},
    platform::places::Full,
    state::State,
};
use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Data,
};
use std::time::Duration;

pub(super) async fn overload<B: MessageBody + 'static>(
    state: Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    if matches!(request.path(), "/livez" | "/readyz") {
        return next.call(request).await;
    }
    let client = request.extensions().get::<ClientIp>().map(|client| client.network());
    let _place = state.in_hand.take(client).map_err(|full| refused(full, &state))?;
    next.call(request).await
}

fn refused(full: Full, state: &State) -> ApiError {
    match full {
        Full::InAll => {
            metrics::counter!("portcullis_overload_refusals_total").increment(1);
            ApiError::new(ErrorCode::Unavailable)
        }
        // places come free as fast as requests are answered
        Full::OfOne => ApiError::rate_limited(rate_limit::exhausted(Quota::InHand, state, Duration::from_secs(1))),
    }
}
