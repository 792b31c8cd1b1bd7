//! A request that has begun goes on to its end, whether or not its client waits for the answer. Otherwise hanging up, or resetting a
//! stream of HTTP/2, would drop its handler at whatever it waits for: a wrong password would be told by what is given back and noticed
//! by nobody, and there would be no line in the log. How long it goes on is bounded by its deadline, how many of them by the places.
//! Practices 4.brute-force, 8.request-metadata. Attacks: `tests/suite/attacks/s04_rate_limits/silent_guessing.rs`.

use crate::error::ApiError;
use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    rt,
};

pub(super) async fn to_the_end<B: MessageBody + 'static>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    rt::spawn(async move { next.call(request).await }).await.unwrap_or_else(|fault| Err(ApiError::internal(fault).into()))
}
