//! Stands in for `buckets.rs` in a build without the feature `governor`: no quota per address, key or person on ordinary traffic. Put a
//! proxy in front that has one, or another crate in here.

use crate::settings::Quotas;
use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};

/// Nothing.
#[derive(Clone)]
pub struct Buckets;

impl Buckets {
    /// Says in the log what is missing.
    #[must_use]
    pub fn new(_: &Quotas) -> Option<Self> {
        tracing::warn!("built without the feature `governor`: no quota per client address, per API key and per person");
        Some(Self)
    }

    /// Nothing to forget.
    pub fn forget_full(&self) {}
}

pub(in crate::edge) async fn by_address<B: MessageBody + 'static>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    next.call(request).await
}

pub(in crate::edge) async fn by_key<B: MessageBody + 'static>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    next.call(request).await
}

pub(in crate::edge) async fn by_person<B: MessageBody + 'static>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    next.call(request).await
}
