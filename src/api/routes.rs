//! How the route table works. A row is a handler and what utoipa read from its attributes; the group's guard adds the security
//! scheme and the refusals that every such route can give, so that the document cannot promise what the types do not keep.

use crate::{
    edge::{
        csrf::CSRF_TOKEN,
        guard::{Guard, admit},
        session_cookie::COOKIE,
    },
    error::{ApiError, ErrorCode, ErrorEnvelope, FieldError},
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
    PartialSchema, ToSchema,
    openapi::{
        ComponentsBuilder, ContentBuilder, HeaderBuilder, Info, OpenApi, OpenApiBuilder, PathsBuilder, Ref, RefOr, Required, Response,
        ResponseBuilder, Schema, SecurityRequirement, Type,
        path::{HttpMethod, Operation, ParameterBuilder, ParameterIn, PathItem},
        schema::Object,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

type Schemas = Vec<(String, RefOr<Schema>)>;

pub(super) struct Routes {
    /// By path: the methods and their routes.
    resources: BTreeMap<String, Vec<(Method, Route)>>,
    operations: Vec<(String, HttpMethod, Operation)>,
    schemas: Schemas,
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
            document_guard::<G>(&mut operation, &actix, refusals);
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
        let mut schemas = Schemas::new();
        for (name, schema) in [(ErrorEnvelope::name(), ErrorEnvelope::schema()), (FieldError::name(), FieldError::schema())] {
            schemas.push((name.into_owned(), schema));
        }
        ErrorEnvelope::schemas(&mut schemas);
        Self { resources: BTreeMap::new(), operations: Vec::new(), schemas }
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
        let mut paths = BTreeMap::<String, PathItem>::new();
        for (path, method, operation) in self.operations {
            let item = PathItem::new(method, operation);
            match paths.get_mut(&path) {
                Some(known) => known.merge_operations(item),
                None => _ = paths.insert(path, item),
            }
        }
        let paths = paths.into_iter().fold(PathsBuilder::new(), |paths, (path, item)| paths.path(path, item));
        let session = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
            COOKIE,
            "The session cookie that signing in sets. Unsafe calls also need the session's X-CSRF-Token.",
        )));
        let mut info = Info::new("Portcullis", env!("CARGO_PKG_VERSION"));
        info.description = Some("A user and account API. Every refusal has the same shape; its `code` is what a client should decide by.".into());
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
        let bearer =
            SecurityScheme::Http(bearer.description(Some("An access token. With it, cookies are not read and no CSRF token is needed.")).build());
        let components =
            ComponentsBuilder::new().schemas_from_iter(self.schemas).security_scheme("session", session).security_scheme("bearer", bearer);
        OpenApiBuilder::new().info(info).paths(paths.build()).components(Some(components.build())).build()
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

/// What every route of this guard demands and may answer.
fn document_guard<G: Guard>(operation: &mut Operation, method: &Method, own: &[ErrorCode]) {
    use ErrorCode::*;
    let mut refusals: BTreeMap<u16, BTreeSet<&str>> = BTreeMap::new();
    let mut may = |codes: &[ErrorCode]| {
        for code in codes {
            refusals.entry(code.status().as_u16()).or_default().insert(code.name());
        }
    };
    may(own);
    may(&[Timeout, RateLimited, Internal, Unavailable]);
    let parameters_in = |place| operation.parameters.iter().flatten().any(|one| matches!(one, RefOr::T(one) if one.parameter_in == place));
    if parameters_in(ParameterIn::Path) {
        may(&[NotFound]);
    }
    if parameters_in(ParameterIn::Query) || parameters_in(ParameterIn::Header) {
        may(&[Invalid]);
    }
    if operation.request_body.is_some() {
        may(&[Malformed, TooLarge, UnsupportedMediaType, Invalid]);
    }
    if !method.is_safe() {
        may(&[CsrfRejected]);
    }
    if G::SCHEMES.is_empty() {
        operation.security = Some(vec![SecurityRequirement::default()]);
    } else {
        may(&[Unauthenticated, InvalidToken]);
        operation.security = Some(G::SCHEMES.iter().map(|scheme| SecurityRequirement::new(*scheme, Vec::<String>::new())).collect());
    }
    if !method.is_safe() {
        let token = ParameterBuilder::new().name(CSRF_TOKEN.as_str()).parameter_in(ParameterIn::Header).required(Required::False);
        let token =
            token.description(Some("The session's CSRF token, where the session cookie is sent")).schema(Some(Object::with_type(Type::String)));
        operation.parameters.get_or_insert_default().push(RefOr::T(token.build()));
    }
    if let Some(permission) = G::PERMISSION {
        may(&[Forbidden]);
        let about = operation.description.take().map_or_else(String::new, |about| format!("{about}\n\n"));
        operation.description = Some(format!("{about}Needs the permission `{permission}`."));
    }
    for (status, codes) in refusals {
        operation.responses.responses.insert(status.to_string(), RefOr::T(refusal(status, &codes)));
    }
}

fn refusal(status: u16, codes: &BTreeSet<&str>) -> Response {
    let codes = codes.iter().map(|code| format!("`{code}`")).collect::<Vec<_>>().join(" or ");
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorEnvelope"))).build();
    let response = ResponseBuilder::new().description(codes).content("application/json", content);
    if status == 429 || status == 503 {
        let header = |kind, about: &str| HeaderBuilder::new().schema(Some(Object::with_type(kind))).description(Some(about)).build();
        let response = response.header("Retry-After", header(Type::Integer, "Seconds until it may work"));
        if status == 503 {
            return response.build();
        }
        response
            .header("RateLimit", header(Type::String, "The quota that is used up, and seconds until there is room, as `\"name\";r=0;t=30`"))
            .header("RateLimit-Policy", header(Type::String, "Its number and its window in seconds, as `\"name\";q=10;w=900`"))
            .build()
    } else {
        response.build()
    }
}
