//! Stands in for `address.rs` in a build without the feature `governor`: no quota per address. Put a proxy in front that has
//! one, or another crate in here.

use crate::settings::Quotas;
use actix_web::middleware::DefaultHeaders;

/// Nothing.
#[derive(Clone)]
pub struct AddressQuota;

impl AddressQuota {
    /// Says in the log what is missing.
    #[must_use]
    pub fn new(_: &Quotas) -> Option<Self> {
        tracing::warn!("built without the feature `governor`: no quota per client address");
        Some(Self)
    }

    pub(in crate::edge) fn layer(&self) -> DefaultHeaders {
        DefaultHeaders::new()
    }

    /// Nothing to forget.
    pub fn forget_full_buckets(&self) {}
}
