//! Token buckets by actix-governor, in this node's memory: one a client address, before anything is known of the caller, one an API
//! key, and one a signed-in person, whatever addresses they come from and with whatever key. Ordinary traffic costs no round trip. The layers are ours, on the crate's
//! limiter: its own layer does not fit into this stack when it has to say what is left.
//! Practices 4.token-bucket, 4.abuse, 4.dos. Attacks: `tests/suite/attacks/s04_rate_limits/`.

use crate::{
    access::Principal,
    edge::{client_ip::ClientIp, rate_limit::Quota},
    error::{ApiError, Exhausted, Limit},
    settings::Quotas,
};
use actix_governor::governor::{
    self, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DefaultKeyedStateStore,
};
use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    web::Data,
};
use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};
use uuid::Uuid;

/// The buckets of this node, shared by its server threads.
#[derive(Clone)]
pub struct Buckets {
    addresses: Arc<Kind<IpAddr>>,
    keys: Arc<Kind<Uuid>>,
    people: Arc<Kind<Uuid>>,
}

/// Buckets of one quota.
struct Kind<K: Hash + Eq + Clone> {
    limit: Limit,
    per_second: u32,
    limiter: RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>,
}

impl<K: Hash + Eq + Clone> Kind<K> {
    fn new(quota: Quota, quotas: &Quotas, per_second: u32) -> Option<Self> {
        let limit = Limit { quota: quota.name(), number: quota.number(quotas), window: quota.window(quotas).unsigned_abs() };
        let number = governor::Quota::per_second(NonZeroU32::new(per_second)?).allow_burst(NonZeroU32::new(limit.number)?);
        Some(Self { limit, per_second, limiter: RateLimiter::keyed(number).with_middleware() })
    }

    /// Takes a token. Returns how many are left.
    ///
    /// # Errors
    /// 429 with the time until there is one.
    fn take(&self, key: &K) -> Result<u32, ApiError> {
        self.limiter.check_key(key).map(|left| left.remaining_burst_capacity()).map_err(|until| {
            metrics::counter!("portcullis_quota_refusals_total", "quota" => self.limit.quota).increment(1);
            let wait = until.wait_time_from(DefaultClock::default().now()).max(Duration::from_secs(1));
            ApiError::rate_limited(Exhausted { limit: self.limit, wait })
        })
    }

    /// Passes a request on for a token, and says in the answer what is left: also in a refusal, which has cost a token too.
    async fn pass<B: MessageBody + 'static>(&self, key: &K, request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
        let left = self.take(key)?;
        let full_in = self.limit.number.saturating_sub(left).div_ceil(self.per_second);
        let fields = self.limit.fields(left, full_in.into());
        let mut outcome = next.call(request).await;
        match &mut outcome {
            Ok(answer) => append(answer.headers_mut(), &fields),
            Err(error) => error.add_response_mapper(move |mut answer| {
                append(answer.headers_mut(), &fields);
                answer
            }),
        }
        outcome
    }

    fn forget_full(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

fn append(headers: &mut HeaderMap, fields: &[(HeaderName, HeaderValue)]) {
    for (name, value) in fields {
        headers.append(name.clone(), value.clone());
    }
}

impl Buckets {
    /// Empty buckets. `None`: the numbers make no quota (the settings refuse such).
    #[must_use]
    pub fn new(quotas: &Quotas) -> Option<Self> {
        Some(Self {
            addresses: Arc::new(Kind::new(Quota::Address, quotas, quotas.address_per_second)?),
            keys: Arc::new(Kind::new(Quota::ApiKey, quotas, quotas.key_per_second)?),
            people: Arc::new(Kind::new(Quota::Person, quotas, quotas.person_per_second)?),
        })
    }

    /// Forgets full buckets. The maps only grow otherwise: a caller with many addresses could fill the memory.
    pub fn forget_full(&self) {
        self.addresses.forget_full();
        self.keys.forget_full();
        self.people.forget_full();
    }

    /// How many buckets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.addresses.limiter.len() + self.keys.limiter.len() + self.people.limiter.len()
    }

    /// Whether there is no bucket.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A token of the client's address, IPv6 by /64.
pub(in crate::edge) async fn by_address<B: MessageBody + 'static>(
    buckets: Data<Buckets>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let client = request.extensions().get::<ClientIp>().copied();
    buckets.addresses.pass(&client.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), ClientIp::network), request, next).await
}

/// A token of the API key, where there is one: before the person's, so that a key that runs wild uses up nothing of its owner's.
pub(in crate::edge) async fn by_key<B: MessageBody + 'static>(
    buckets: Data<Buckets>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let key = request.extensions().get::<Principal>().and_then(Principal::key);
    match key {
        Some(key) => buckets.keys.pass(&key, request, next).await,
        None => next.call(request).await,
    }
}

/// A token of the person, however they are signed in; whoever is not needs none of this kind.
pub(in crate::edge) async fn by_person<B: MessageBody + 'static>(
    buckets: Data<Buckets>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let person = request.extensions().get::<Principal>().map(|principal| principal.account);
    match person {
        Some(person) => buckets.people.pass(&person, request, next).await,
        None => next.call(request).await,
    }
}
