//! Which other origins' pages may call: those on a list, compared as a whole. Preflights are answered before any quota.
//! Practices 6.allow-list, 6.no-wildcard, 6.allowed-headers, 6.credentials-only-if-needed.
//! Attacks: `tests/suite/attacks/s06_cors/`.

use crate::{
    edge::{csrf::CSRF_TOKEN, request_log::REQUEST_ID, trace_context::TRACE_PARENT},
    error::{RATE_LIMIT, RATE_LIMIT_POLICY},
    settings::Settings,
};
use actix_cors::Cors;
use actix_web::http::{Method, header};

/// How long a browser may remember a preflight, in seconds (the most that Chromium honours).
const MAX_AGE: usize = 7200;

pub(super) fn cors(settings: &Settings) -> Cors {
    let cors = Cors::default()
        .allowed_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allowed_headers([header::CONTENT_TYPE, header::AUTHORIZATION, header::IF_MATCH, CSRF_TOKEN, TRACE_PARENT])
        .expose_headers([REQUEST_ID, header::ETAG, header::RETRY_AFTER, RATE_LIMIT, RATE_LIMIT_POLICY, header::WWW_AUTHENTICATE])
        // a refused origin still gets its answer, without the headers that would let a page read it: a tool that is no browser
        // may send any Origin, and unsafe calls are stopped by `csrf`
        .block_on_origin_mismatch(false)
        .max_age(MAX_AGE);
    // nobody on the list: nobody needs cookies across origins
    let cors = if settings.cors_origins.is_empty() { cors } else { cors.supports_credentials() };
    settings.cors_origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin.as_str()))
}
