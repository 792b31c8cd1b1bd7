//! A request names one host that could be one, and a path: whoever stands in front may have decided by them (RFC 9112 §3.2, RFC 9113
//! §8.3.1). What it says is believed nowhere: links are built from the settings.
//!
//! On the operators' listener, which asks for no proof, a name must be one that no stranger can have: the owner of any other can point
//! it here, and the browser of somebody near then takes our answers for that owner's own (DNS rebinding). TLS keeps that from the service.
//! Practice 3.headers.
//! Attacks: `tests/suite/attacks/s03_validation/request_smuggling.rs`, `tests/suite/attacks/s06_cors/rebound_name.rs`,
//! `tests/interop/http2.rs`.

use crate::{
    error::{ApiError, ErrorCode},
    state::State,
};
use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, Version, header, uri::Authority},
    middleware::Next,
    web::Data,
};
use std::net::IpAddr;

/// Names that lead nowhere but into one's own network: Kubernetes's, and the domain that ICANN keeps for private use.
const PRIVATE_DOMAINS: [&str; 3] = [".svc", ".cluster.local", ".internal"];

pub(super) async fn one_host<B: MessageBody + 'static>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    if names_one_host(&request) { next.call(request).await } else { Err(ApiError::new(ErrorCode::Malformed).into()) }
}

/// Within [`one_host`].
pub(super) async fn operators_host<B: MessageBody + 'static>(
    state: Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let listed = state.settings.operators.as_ref().map_or(&[][..], |operators| &operators.hosts);
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    // HTTP/1.0 may have none, and no browser speaks it
    if host.is_some_and(|host| !is_no_strangers(&host.host().to_ascii_lowercase(), listed)) {
        return Err(ApiError::new(ErrorCode::WrongHost).into());
    }
    next.call(request).await
}

/// What Prometheus and probes say: an IP address, a name of a machine or container, a name within the cluster, or a name in the settings.
/// The last two may end with the root's dot; a name of one word must not, because then it is a top-level domain, which somebody owns.
fn is_no_strangers(host: &str, listed: &[String]) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    !host.contains('.')
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
        || PRIVATE_DOMAINS.iter().any(|domain| name.ends_with(domain))
        || listed.iter().any(|listed| listed == name)
}

/// An absolute target must name the same host; one without a path, as for a tunnel, names nothing here. `*` is for OPTIONS.
fn names_one_host(request: &ServiceRequest) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).map(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let target = request.uri();
    match (hosts.next(), hosts.next()) {
        (Some(Some(host)), None) => {
            !host.as_str().contains('@')
                && (target.path().starts_with('/') || request.method() == Method::OPTIONS)
                && target.authority().is_none_or(|authority| target.scheme().is_some() && *authority == host)
        }
        // HTTP/1.0 has none
        (None, None) => request.version() <= Version::HTTP_10 && target.authority().is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_no_strangers;

    #[test]
    fn operators_names_are_no_strangers() {
        let listed = ["metrics.example.org".to_owned()];
        for host in ["localhost", "portcullis", "127.0.0.1", "[::1]", "[::ffff:10.0.0.1]", "a.b.svc", "a.b.svc.cluster.local", "metrics.example.org"]
        {
            assert!(is_no_strangers(host, &listed), "{host}");
        }
        for host in ["evil.example", "evil.example.", "127.0.0.1.evil.example", "svc.evil.example", "evilsvc.example", "x.metrics.example.org"] {
            assert!(!is_no_strangers(host, &listed), "{host}");
        }
    }
}
