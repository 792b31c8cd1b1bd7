//! One line in the log and one point in the metrics for each request, under an id that the answer carries too; for a 5xx the
//! line has the chain of causes. No path, no query, no header, no body: what may hold a secret or a personal detail is not
//! written at all. Practices 8.json-logs, 8.request-metadata, 8.redaction, 8.error-traces. Attacks: `tests/suite/attacks/s08_errors/`.

use crate::{
    edge::{client_ip::client_ip, trace_context::TraceContext},
    error::{ApiError, Enveloped},
    platform::crypto,
    sessions::device::coarse_name,
    state::State,
};
use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{HeaderName, HeaderValue, USER_AGENT},
    },
    middleware::Next,
    web::Data,
};
use std::time::Instant;
use tracing::{Instrument, field::Empty};
use uuid::Uuid;

/// Names the request in the answer and in the log. Always ours: a caller's own id could forge log lines.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id, for what else is written about the request.
#[derive(Clone, Copy)]
pub(super) struct RequestId(pub Uuid);

/// Methods that are told apart.
const METHODS: [Method; 7] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

pub(super) async fn request_log<B: MessageBody + 'static>(
    state: Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let begun = Instant::now();
    let id = crypto::uuid_v7(state.clock.now());
    let client = client_ip(&request, &state.settings.trusted_proxies);
    request.extensions_mut().insert(client);
    request.extensions_mut().insert(RequestId(id));
    let method = request.method().clone();
    let agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok()).map_or_else(String::new, coarse_name);
    // known by the path, also for what is refused before the handler. Never the path itself: people put tokens and addresses there
    let route = request.request().match_pattern().unwrap_or_else(|| "unmatched".into());

    let trace = TraceContext::of(request.headers());
    let (trace_id, parent_id) = trace.as_ref().map(|trace| (&*trace.trace_id, &*trace.parent_id)).unzip();
    // of the highest level, so that whatever is logged has it; who calls is told by `authenticate`
    let span = tracing::error_span!("request", %id, trace_id, parent_id, user = Empty, session = Empty);
    let mut outcome = next.call(request).instrument(span.clone()).await;

    let header = HeaderValue::try_from(id.to_string()).unwrap_or(HeaderValue::from_static("-"));
    let (status, code, cause) = match &mut outcome {
        Ok(response) => {
            response.headers_mut().insert(REQUEST_ID, header);
            let code = response.response().extensions().get::<Enveloped>().map(|Enveloped(code)| code.name());
            (response.status(), code, response.response().error().map(describe))
        }
        Err(error) => {
            error.add_response_mapper(move |mut response| {
                response.headers_mut().insert(REQUEST_ID, header.clone());
                response
            });
            let code = error.as_error::<ApiError>().map(|error| error.code().name());
            (error.as_response_error().status_code(), code, Some(describe(error)))
        }
    };
    let elapsed = begun.elapsed();
    // a caller may invent methods, but not series in the metrics
    let known_method = if METHODS.contains(&method) { method.to_string() } else { "other".into() };
    metrics::histogram!("portcullis_request_seconds", "method" => known_method.clone(), "route" => route.clone(), "status" => status.as_u16().to_string())
        .record(elapsed);
    span.in_scope(|| {
        let (status, milliseconds, client) = (status.as_u16(), (elapsed.as_secs_f64() * 1_000_000.0).round() / 1000.0, client.0.to_string());
        match cause {
            Some(cause) if status >= 500 => {
                tracing::error!(status, code, method = known_method, route, milliseconds, client, agent, cause, "request")
            }
            _ => tracing::info!(status, code, method = known_method, route, milliseconds, client, agent, "request"),
        }
    });
    outcome
}

fn describe(error: &Error) -> String {
    error.as_error::<ApiError>().map_or_else(|| error.to_string(), ToString::to_string)
}
