//! The headers that tell a browser what not to do, on every answer. A handler that serves a page brings its own
//! Content-Security-Policy; everything else may load, frame and send nothing.
//! Practices 5.automatic, 5.csp, 5.hsts, 5.nosniff, 5.frame-options, 5.referrer-policy, 5.permissions-policy.
//! Attacks: `tests/suite/attacks/s05_headers/`.

use crate::{
    edge::proxied::came_by_https,
    settings::{Environment, Settings},
    state::State,
};
use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    web::Data,
};

/// The policy of everything that is no page.
const CSP: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PERMISSIONS: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), \
                           midi=(), payment=(), usb=(), browsing-topics=()";

/// Puts the origin into a process of its own even beside other origins of its site (HTML standard).
const ORIGIN_AGENT_CLUSTER: HeaderName = HeaderName::from_static("origin-agent-cluster");
/// No policy files for plug-ins that ask for one.
const X_PERMITTED_CROSS_DOMAIN_POLICIES: HeaderName = HeaderName::from_static("x-permitted-cross-domain-policies");

/// Two years and every subdomain; on a developer's machine five minutes, because `localhost` is shared by all ports.
fn hsts(settings: &Settings) -> HeaderValue {
    HeaderValue::from_static(match settings.environment {
        Environment::Production => "max-age=63072000; includeSubDomains",
        Environment::Development => "max-age=300",
    })
}

/// For the service.
pub(super) async fn security_headers<B: MessageBody + 'static>(
    state: Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    // never over clear text (RFC 6797 §7.2), where anybody could have written it
    let hsts = came_by_https(&request, &state).then(|| hsts(&state.settings));
    with_headers(hsts, request, next).await
}

/// For a listener without TLS.
pub(super) async fn in_clear_text<B: MessageBody + 'static>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    with_headers(None, request, next).await
}

async fn with_headers<B: MessageBody + 'static>(
    hsts: Option<HeaderValue>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let mut outcome = next.call(request).await;
    match &mut outcome {
        Ok(response) => add(response.headers_mut(), hsts),
        Err(error) => error.add_response_mapper(move |mut response| {
            add(response.headers_mut(), hsts.clone());
            response
        }),
    }
    outcome
}

fn add(headers: &mut HeaderMap, hsts: Option<HeaderValue>) {
    if let Some(hsts) = hsts {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, hsts);
    }
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::PERMISSIONS_POLICY, PERMISSIONS),
        // a process of its own in the browser, which shares memory with nobody (Spectre)
        (header::CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
        (header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
        (header::CROSS_ORIGIN_EMBEDDER_POLICY, "require-corp"),
        (ORIGIN_AGENT_CLUSTER, "?1"),
        (X_PERMITTED_CROSS_DOMAIN_POLICIES, "none"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // a handler, or the layer for CORS, may know better
    add_unless_there(headers, header::CONTENT_SECURITY_POLICY, CSP);
    add_unless_there(headers, header::CACHE_CONTROL, "no-store");
    add_unless_there(headers, header::VARY, "Origin");
}

fn add_unless_there(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    if !headers.contains_key(&name) {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
