//! How the route table works. A row is a handler and what utoipa read from its attributes; `document.rs` adds what its guard implies,
//! so that the document cannot promise what the types do not keep.

use crate::{
    api::document::{self, Refusals, Schemas},
    edge::guard::{Guard, admit},
    error::{ApiError, ErrorCode},
};
use actix_web::{
    FromRequest, Handler, Responder, ResponseError, Route, guard,
    http::{Method, header},
    middleware::from_fn,
    web::{self, ServiceConfig},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    marker::PhantomData,
};
use utoipa::{
    __dev::{SchemaReferences, Tags},
    openapi::{
        OpenApi,
        path::{HttpMethod, Operation},
    },
};

pub(super) struct Routes {
    /// By path: the methods and their routes.
    resources: BTreeMap<String, Vec<(Method, Route)>>,
    operations: Vec<(String, HttpMethod, Operation)>,
    schemas: Schemas,
    refusals: Refusals,
}

/// Marks the arguments of a handler whose first one is `G`.
pub(super) trait GuardedBy<G> {}

impl<G> GuardedBy<G> for (G,) {}
impl<G, A> GuardedBy<G> for (G, A) {}
impl<G, A, B> GuardedBy<G> for (G, A, B) {}
impl<G, A, B, C> GuardedBy<G> for (G, A, B, C) {}
impl<G, A, B, C, D> GuardedBy<G> for (G, A, B, C, D) {}

pub(super) struct Group<'r, G> {
    routes: &'r mut Routes,
    guard: PhantomData<G>,
}

impl<G: Guard> Group<'_, G> {
    /// Adds a handler. `_described` is what `#[utoipa::path]` made of its attributes; `refusals` are its own ones.
    pub(super) fn route<P, H, Args>(self, _described: P, handler: H, refusals: &[ErrorCode]) -> Self
    where
        P: utoipa::Path + SchemaReferences + for<'t> Tags<'t>,
        H: Handler<Args, Output: Responder + 'static>,
        Args: FromRequest + GuardedBy<G> + 'static,
    {
        let (path, mut operation) = (P::path(), P::operation());
        let tags: Vec<String> = P::tags().into_iter().map(str::to_owned).collect();
        operation.operation_id = operation.operation_id.map(|name| tags.iter().chain([&name]).map(String::as_str).collect::<Vec<_>>().join("_"));
        operation.tags = Some(tags);
        for method in P::methods() {
            let actix = actix_method(&method);
            document::describe_guard::<G>(&mut operation, &actix, refusals, &mut self.routes.refusals);
            let route = if actix == Method::GET {
                // RFC 9110 §9.3.2; the server leaves the body away
                web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
            } else {
                web::method(actix.clone())
            };
            self.routes.resources.entry(path.clone()).or_default().push((actix, route.to(handler.clone()).wrap(from_fn(admit::<G, _>))));
            self.routes.operations.push((path.clone(), method, operation.clone()));
        }
        P::schemas(&mut self.routes.schemas);
        self
    }
}

impl Routes {
    pub(super) fn new() -> Self {
        Self { resources: BTreeMap::new(), operations: Vec::new(), schemas: Schemas::new(), refusals: Refusals::default() }
    }

    pub(super) fn open_to<G: Guard>(&mut self) -> Group<'_, G> {
        Group { routes: self, guard: PhantomData }
    }

    pub(super) fn configure(self, config: &mut ServiceConfig) {
        for (path, routes) in self.resources {
            let allow: BTreeSet<&str> =
                routes.iter().flat_map(|(method, _)| if method == Method::GET { vec!["GET", "HEAD"] } else { vec![method.as_str()] }).collect();
            let allow = allow.into_iter().collect::<Vec<_>>().join(", ");
            let refuse = web::to(move || {
                let mut refusal = ApiError::new(ErrorCode::MethodNotAllowed).error_response();
                if let Ok(value) = header::HeaderValue::try_from(allow.as_str()) {
                    refusal.headers_mut().insert(header::ALLOW, value);
                }
                std::future::ready(refusal)
            });
            let resource = web::resource(path).default_service(refuse);
            config.service(routes.into_iter().fold(resource, |resource, (_, route)| resource.route(route)));
        }
    }

    pub(super) fn into_document(self) -> OpenApi {
        document::assemble(self.operations, self.schemas, self.refusals)
    }
}

fn actix_method(method: &HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Options => Method::OPTIONS,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Trace => Method::TRACE,
    }
}
