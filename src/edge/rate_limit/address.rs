//! A token bucket per client address, by actix-governor, in memory: ordinary traffic costs no round trip.
//! Practices 4.token-bucket, 4.dos. Attacks: `tests/suite/attacks/s04_rate_limits/`.

use crate::{edge::client_ip::ClientIp, error::ApiError, settings::Quotas};
use actix_governor::{
    Governor, GovernorConfig, GovernorConfigBuilder, KeyExtractor,
    governor::{
        NotUntil,
        clock::{Clock, DefaultClock, QuantaInstant},
        middleware::NoOpMiddleware,
    },
};
use actix_web::{HttpMessage, HttpResponse, HttpResponseBuilder, ResponseError, dev::ServiceRequest};
use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

/// The buckets of this node, shared by its server threads.
#[derive(Clone)]
pub struct AddressQuota(GovernorConfig<ByNetwork, NoOpMiddleware<QuantaInstant>>);

impl AddressQuota {
    /// Empty buckets. `None`: the numbers make no quota (the settings refuse such).
    #[must_use]
    pub fn new(quotas: &Quotas) -> Option<Self> {
        let period = Duration::from_secs(1) / quotas.address_per_second;
        GovernorConfigBuilder::default().key_extractor(ByNetwork).period(period).burst_size(quotas.address_burst).finish().map(Self)
    }

    pub(in crate::edge) fn layer(&self) -> Governor<ByNetwork, NoOpMiddleware<QuantaInstant>> {
        Governor::new(&self.0)
    }

    /// Forgets full buckets. The map only grows otherwise: a caller with many addresses could fill the memory.
    pub fn forget_full_buckets(&self) {
        self.0.limiter().retain_recent();
        self.0.limiter().shrink_to_fit();
    }

    /// How many buckets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.limiter().len()
    }

    /// Whether there is no bucket.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Callers are told apart by address, IPv6 by /64.
#[derive(Clone)]
pub(in crate::edge) struct ByNetwork;

impl KeyExtractor for ByNetwork {
    type Key = IpAddr;
    type KeyExtractionError = ApiError;

    fn extract(&self, request: &ServiceRequest) -> Result<IpAddr, ApiError> {
        let client = request.extensions().get::<ClientIp>().copied();
        Ok(client.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), ClientIp::network))
    }

    /// The crate's own answer rounds the time down, so that a caller that waits it out is refused again.
    fn exceed_rate_limit_response(&self, negative: &NotUntil<QuantaInstant>, _: HttpResponseBuilder) -> HttpResponse {
        metrics::counter!("portcullis_quota_refusals_total", "quota" => "address").increment(1);
        let wait = negative.wait_time_from(DefaultClock::default().now());
        ApiError::rate_limited(wait.max(Duration::from_secs(1))).error_response()
    }
}
