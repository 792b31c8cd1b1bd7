//! The headers that tell a browser what not to do, on every answer. A handler that serves a page brings its own
//! Content-Security-Policy; everything else may load, frame and send nothing.
//! Practices 5.automatic, 5.csp, 5.hsts, 5.nosniff, 5.frame-options, 5.referrer-policy, 5.permissions-policy.
//! Attacks: `tests/suite/attacks/s05_headers/`.

use crate::{
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

/// Two years and every subdomain; on a developer's machine five minutes, because `localhost` is shared by all ports.
fn hsts(settings: &Settings) -> HeaderValue {
    HeaderValue::from_static(match settings.environment {
        Environment::Production => "max-age=63072000; includeSubDomains",
        Environment::Development => "max-age=300",
    })
}

pub(super) async fn security_headers<B: MessageBody + 'static>(
    state: Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let hsts = hsts(&state.settings);
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

fn add(headers: &mut HeaderMap, hsts: HeaderValue) {
    headers.insert(header::STRICT_TRANSPORT_SECURITY, hsts);
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::PERMISSIONS_POLICY, PERMISSIONS),
        (header::CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
        (header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // a handler may know better
    add_unless_there(headers, header::CONTENT_SECURITY_POLICY, CSP);
    add_unless_there(headers, header::CACHE_CONTROL, "no-store");
}

fn add_unless_there(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    if !headers.contains_key(&name) {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
