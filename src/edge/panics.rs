//! A panic on the way of a request ends that request with 500 like any other fault of ours; without this the connection would just
//! close, unlogged. What it said is logged where it happened (`platform/telemetry.rs`).
//! Practices 8.no-leak, 8.error-traces. Attacks: `tests/suite/attacks/s08_errors/secrets_in_reports.rs`.

use crate::error::ApiError;
use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;

pub(super) async fn panics<B: MessageBody + 'static>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    // nothing of the request outlives it, and what is shared is behind locks that forgive
    let caught = AssertUnwindSafe(next.call(request)).catch_unwind().await;
    caught.unwrap_or_else(|_| Err(ApiError::internal(anyhow::anyhow!("panicked")).into()))
}
