//! Every handler, one file a story, and the route table. The table is the only way to a handler: it is grouped by guard, does
//! not compile for a handler whose first argument is another guard, and the API document is written from it.
//! Practices 1.route-guard, 10.deny-default, 15.automated.

mod health;
mod login;
mod me;
mod pages;
mod refusals;
mod register;
mod routes;

use crate::{
    edge::guard::{Anyone, SignedIn},
    error::ErrorCode::{InvalidCredentials, InvalidProof, NotFound, RateLimited},
};
use actix_web::web::ServiceConfig;
use routes::Routes;
use utoipa::openapi::OpenApi;

/// The closed list of what can be called, by whom, and how it may be refused beyond what the guard and the body say.
fn table() -> Routes {
    let mut routes = Routes::new();
    routes
        .open_to::<Anyone>()
        .route(health::__path_livez, health::livez, &[])
        .route(health::__path_readyz, health::readyz, &[])
        .route(pages::__path_openapi, pages::openapi, &[])
        .route(pages::__path_docs, pages::docs, &[])
        .route(pages::__path_docs_file, pages::docs_file, &[NotFound])
        .route(pages::__path_register, pages::register, &[])
        .route(pages::__path_asset, pages::asset, &[NotFound])
        .route(register::__path_begin, register::begin, &[RateLimited])
        .route(register::__path_complete, register::complete, &[InvalidProof])
        .route(login::__path_login, login::login, &[InvalidCredentials, RateLimited]);
    routes
        .open_to::<SignedIn>()
        .route(login::__path_csrf, login::csrf, &[])
        .route(login::__path_logout, login::logout, &[])
        .route(me::__path_read, me::read, &[])
        .route(me::__path_change, me::change, &[]);
    routes
}

/// Puts every handler into the application.
pub fn configure(config: &mut ServiceConfig) {
    table().configure(config);
}

/// Only what operators need: for their own listener.
pub fn configure_health(config: &mut ServiceConfig) {
    let mut routes = Routes::new();
    routes.open_to::<Anyone>().route(health::__path_livez, health::livez, &[]).route(health::__path_readyz, health::readyz, &[]);
    routes.configure(config);
}

/// The API document, OpenAPI 3.1.
#[must_use]
pub fn document() -> OpenApi {
    table().into_document()
}
