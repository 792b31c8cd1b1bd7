//! What every request meets, in order, on one page: see [`app`]. Each layer is a file of its own.

mod api_key;
mod authenticate;
pub mod client_ip;
mod cors;
pub mod csrf;
mod deadline;
mod envelope;
pub mod guard;
mod header_limit;
mod host;
pub mod known_device;
pub mod oauth_cookie;
mod outside_token;
mod overload;
pub mod pace;
pub mod page;
mod panics;
mod proxied;
pub mod rate_limit;
pub mod refresh_cookie;
mod refusals;
mod request_log;
mod security_headers;
pub mod session_cookie;
mod to_the_end;
mod trace_context;
pub mod valid;
mod watched_body;

use crate::state::State;
use actix_web::{
    App, Error,
    body::BoxBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    middleware::from_fn,
    web::{Data, ServiceConfig},
};
use rate_limit::buckets::{self, Buckets};

/// The application of one server thread. actix runs the layer that was wrapped last first: read from the bottom up.
pub fn app<F: FnOnce(&mut ServiceConfig)>(
    state: Data<State>,
    buckets: &Buckets,
    handlers: F,
) -> App<impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()> + use<F>> {
    App::new()
        .configure(handlers)
        // 12. unsafe calls with cookies come from our pages and carry the session's token
        .wrap(from_fn(csrf::csrf))
        // 11. what a person is refused is noticed
        .wrap(from_fn(refusals::refusals))
        // 10. so much for each person who is signed in
        .wrap(from_fn(buckets::by_person))
        // 10. … and for each of their API keys
        .wrap(from_fn(buckets::by_key))
        // 9. a live session, an access token or an API key becomes the principal
        .wrap(from_fn(authenticate::authenticate))
        // 8. the cookie's key becomes session state
        .wrap(from_fn(session_cookie::session_cookie(&state)))
        // 7. a request with an Authorization header has no cookie
        .wrap(from_fn(authenticate::one_identity))
        // 6. an end to everything …
        .wrap(from_fn(deadline::deadline))
        // 6. … and no more at once than can be worked on
        .wrap(from_fn(overload::overload))
        // 6. a head of a sane size
        .wrap(from_fn(header_limit::header_limit))
        // 6. for one host
        .wrap(from_fn(host::one_host))
        // 5. so much for each client address
        .wrap(from_fn(buckets::by_address))
        // 4. what panics is a fault of ours like any other
        .wrap(from_fn(panics::panics))
        // 4. what a layer above failed with becomes a refusal, so that CORS headers get onto it …
        .wrap(from_fn(envelope::envelope))
        // 3. who may read the answer; preflights end here
        .wrap(cors::cors(&state.settings))
        // 3. where a proxy ends TLS: nothing that came around it
        .wrap(from_fn(proxied::proxied))
        // 2. … and CORS's own refusals get the envelope too, and everything the headers
        .wrap(from_fn(envelope::envelope))
        .wrap(from_fn(security_headers::security_headers))
        // 1. an id, the client's address, a line in the log
        .wrap(from_fn(request_log::request_log))
        // 0. whoever hangs up stops nothing …
        .wrap(from_fn(to_the_end::to_the_end))
        // 0. … and the connection knows that it is not idle
        .wrap(from_fn(pace::in_hand))
        .app_data(Data::new(buckets.clone()))
        .app_data(state)
}

/// For those who speak clear text and are sent on to HTTPS: strangers, so each request leaves a record. Whatever host they name, they are
/// sent to the public URL.
pub fn redirecting_app<F: FnOnce(&mut ServiceConfig)>(
    state: Data<State>,
    handlers: F,
) -> App<impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()> + use<F>> {
    App::new()
        .configure(handlers)
        .wrap(from_fn(envelope::envelope))
        .wrap(from_fn(security_headers::in_clear_text))
        .wrap(from_fn(request_log::request_log))
        .wrap(from_fn(pace::in_hand))
        .app_data(state)
}

/// For operators, in clear text too. Their network decides who gets here, and the host's name keeps out what a browser in it is made to
/// ask: they ask at no cost, and so often that it is not logged.
pub fn operators_app<F: FnOnce(&mut ServiceConfig)>(
    state: Data<State>,
    handlers: F,
) -> App<impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()> + use<F>> {
    App::new()
        .configure(handlers)
        .wrap(from_fn(host::operators_host))
        .wrap(from_fn(host::one_host))
        .wrap(from_fn(envelope::envelope))
        .wrap(from_fn(security_headers::in_clear_text))
        .wrap(from_fn(pace::in_hand))
        .app_data(state)
}
