//! Endpoints that are told of events: how many, where, and how patiently. Practice 11.https-only.

use crate::settings::{reader::Reader, tls::is_too_wide};
use ipnet::IpNet;
use std::{path::PathBuf, time::Duration};

/// The numbers of outbound webhooks.
pub struct WebhookEndpoints {
    /// Most endpoints.
    pub number: i64,
    /// Networks that are called although they are not public.
    pub networks: Vec<IpNet>,
    /// Authorities that are believed beside the public ones.
    pub authorities: Option<PathBuf>,
    /// The longest that one attempt may take.
    pub patience: Duration,
    /// Attempts of one delivery.
    pub attempts: i32,
    /// An endpoint at which nothing arrives for so long is disabled.
    pub failing: time::Duration,
    /// How long deliveries are kept.
    pub kept: time::Duration,
}

pub(super) fn read(read: &mut Reader, is_production: bool) -> WebhookEndpoints {
    const NETWORKS: &str = "PORTCULLIS_WEBHOOK_NETWORKS";
    let networks = read.list(NETWORKS, |item| item.parse::<IpNet>().map_err(|_| "is no network like 10.0.0.0/8"));
    if is_production && IpNet::aggregate(&networks).iter().any(is_too_wide) {
        read.refuse(NETWORKS, "lets half the world in: name the networks that endpoints are in");
    }
    WebhookEndpoints {
        number: read.number("PORTCULLIS_WEBHOOK_ENDPOINTS", 1..=1000),
        networks,
        authorities: read.optional("PORTCULLIS_WEBHOOK_CA_FILE", |text| Ok::<_, &str>(text.into())),
        patience: Duration::from_secs(read.number("PORTCULLIS_WEBHOOK_TIMEOUT_SECONDS", 1..=30)),
        attempts: read.number("PORTCULLIS_WEBHOOK_ATTEMPTS", 1..=50),
        failing: time::Duration::days(read.number("PORTCULLIS_WEBHOOK_FAILING_DAYS", 1..=30)),
        kept: time::Duration::days(read.number("PORTCULLIS_WEBHOOK_LOG_DAYS", 1..=365)),
    }
}
