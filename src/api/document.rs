//! How the API document is put together. A handler's attributes say what it takes and gives; everything that follows from its guard,
//! its method and its inputs is added here: refusals, headers, security schemes, and the bounds of well-known formats. A refusal
//! is described once, by its codes, and referred to. Practices 3.schema, 15.automated.
//! Held by `tests/suite/contract/api_document.rs`, `tests/interop/fuzzing.rs` and two linters in `.ci/run`.

use crate::{
    access::permission::Permission,
    api::{
        roles::RoleName,
        shapes::{Cursor, EntityTags, LinkAsset, LinkPage, OpaqueToken, Outcome, ViewerFile},
    },
    audit::Event,
    edge::{guard::Guard, refresh_cookie, session_cookie::COOKIE},
    error::{ErrorCode, ErrorEnvelope},
};
use actix_web::http::Method;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::{
    ToSchema,
    openapi::{
        ComponentsBuilder, ContactBuilder, ContentBuilder, Header, HeaderBuilder, Info, KnownFormat, License, OpenApi, OpenApiBuilder, PathsBuilder,
        Ref, RefOr, Response, ResponseBuilder, Schema, SchemaFormat, SecurityRequirement, Type,
        extensions::ExtensionsBuilder,
        path::{HttpMethod, Operation, ParameterIn, PathItem},
        schema::{ArrayItems, Object, ObjectBuilder, SchemaType},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
        server::ServerBuilder,
        tag::TagBuilder,
    },
};

pub(super) type Schemas = Vec<(String, RefOr<Schema>)>;

const NO_SCOPES: [&str; 0] = [];

const TAGS: [(&str, &str); 11] = [
    ("audit", "What happened, for auditors."),
    ("auth", "Registering, signing in and out, tokens, and what letters prove."),
    ("documents", "What policies decide on."),
    ("health", "For whoever starts and stops the service."),
    ("invitations", "Inviting people."),
    ("me", "One's own account, devices and data."),
    ("pages", "Pages that letters lead to, and this document."),
    ("roles", "Roles and what they allow."),
    ("service-accounts", "Accounts of machines and their API keys, for administrators."),
    ("users", "People, for administrators."),
    ("webhooks", "What other services tell, and are told."),
];

/// The refusals that operations refer to: by name, the status and its codes.
#[derive(Default)]
pub(super) struct Refusals(BTreeMap<String, (u16, BTreeSet<&'static str>)>);

impl Refusals {
    fn refer(&mut self, status: u16, codes: BTreeSet<&'static str>) -> RefOr<Response> {
        let name = codes.iter().copied().collect::<Vec<_>>().join("-");
        let reference = Ref::new(format!("#/components/responses/{name}"));
        self.0.insert(name, (status, codes));
        RefOr::Ref(reference)
    }
}

/// Adds what every route of this guard demands and may answer.
pub(super) fn describe_guard<G: Guard>(operation: &mut Operation, method: &Method, own: &[ErrorCode], refusals: &mut Refusals) {
    use ErrorCode::*;
    let mut by_status: BTreeMap<u16, BTreeSet<&'static str>> = BTreeMap::new();
    let mut may = |codes: &[ErrorCode]| {
        for code in codes {
            by_status.entry(code.status().as_u16()).or_default().insert(code.name());
        }
    };
    may(own);
    may(&[Malformed, HttpsRequired, HeadersTooLarge, Timeout, RateLimited, Internal, Unavailable]);
    let parameters_in = |place| operation.parameters.iter().flatten().any(|one| matches!(one, RefOr::T(one) if one.parameter_in == place));
    if parameters_in(ParameterIn::Path) {
        may(&[NotFound]);
    }
    if parameters_in(ParameterIn::Query) || parameters_in(ParameterIn::Header) {
        may(&[Invalid]);
    }
    if operation.request_body.is_some() {
        may(&[TooLarge, UnsupportedMediaType, Invalid]);
    }
    if !method.is_safe() {
        may(&[CsrfRejected]);
    }
    if G::SCHEMES.is_empty() {
        operation.security.get_or_insert_with(|| vec![SecurityRequirement::default()]);
    } else {
        // with an API key that is not taken here, or without the scope
        may(&[Unauthenticated, InvalidToken, Forbidden]);
        if G::IS_FRESH || G::PERMISSION.is_some() {
            may(&[StepUpRequired]);
        }
        let demand = |scheme: &&str| {
            let requirement = SecurityRequirement::new(*scheme, NO_SCOPES);
            // both, not either
            if *scheme == "session" && !method.is_safe() { requirement.add("csrf", NO_SCOPES) } else { requirement }
        };
        operation.security = Some(G::SCHEMES.iter().map(demand).collect());
    }
    let demand = match (G::PERMISSION, G::SCHEMES) {
        (Some(permission), _) => {
            let key = if G::SCHEMES.contains(&"api_key") { ", and with an API key the scope of that name" } else { "" };
            format!("Needs the permission `{permission}`{key}.")
        }
        (None, []) => "Open to everybody.".into(),
        (None, ["bearer"]) => "Needs an access token.".into(),
        (None, _) => "Needs a session.".into(),
    };
    let fresh =
        if G::IS_FRESH { " The person has shown who they are a moment ago, with a second factor where the account has one (RFC 9470)." } else { "" };
    let about = operation.description.take().map_or_else(String::new, |about| format!("{about}\n\n"));
    operation.description = Some(format!("{about}{demand}{fresh}"));
    for (status, codes) in by_status {
        operation.responses.responses.insert(status.to_string(), refusals.refer(status, codes));
    }
}

/// The whole document.
pub(super) fn assemble(operations: Vec<(String, HttpMethod, Operation)>, schemas: Schemas, refusals: Refusals) -> OpenApi {
    let headers: Vec<(&str, Header)> = headers();
    let mut paths = BTreeMap::<String, PathItem>::new();
    for (path, method, mut operation) in operations {
        finish(&mut operation, &headers);
        let item = PathItem::new(method, operation);
        match paths.get_mut(&path) {
            Some(known) => known.merge_operations(item),
            None => _ = paths.insert(path, item),
        }
    }
    let paths = paths.into_iter().fold(PathsBuilder::new(), |paths, (path, item)| paths.path(path, item));

    let mut info = Info::new("Portcullis", env!("CARGO_PKG_VERSION"));
    info.description = Some("A user and account API. Every refusal has the same shape; its `code` is what a client should decide by.".into());
    info.contact = Some(ContactBuilder::new().name(Some("Whoever runs this service")).build());
    let mut license = License::new(env!("CARGO_PKG_LICENSE"));
    // not as an identifier: viewers make an address of it, and an expression of two has none
    license.url = Some("https://spdx.org/licenses/".into());
    info.license = Some(license);

    let schemas = schemas.into_iter().chain(shared_schemas()).map(|(name, mut schema)| {
        bound(&mut schema);
        (name, schema)
    });
    let mut components = ComponentsBuilder::new().schemas_from_iter(schemas.collect::<Vec<_>>());
    for (name, scheme) in security_schemes() {
        components = components.security_scheme(name, scheme);
    }
    let mut components = components.build();
    components.responses = refusals.0.into_iter().map(|(name, (status, codes))| (name, RefOr::T(refusal(status, &codes)))).collect();
    components.headers = headers.into_iter().map(|(name, header)| (name.to_owned(), RefOr::T(header))).collect();
    let tags = TAGS.map(|(name, about)| TagBuilder::new().name(name).description(Some(about)).build());
    let server = ServerBuilder::new().url("/").description(Some("This service, local or in production, wherever it serves this document"));
    let extensions = ExtensionsBuilder::new().add("x-internal", false).build();
    let server = server.extensions(Some(extensions)).build();
    OpenApiBuilder::new().info(info).servers(Some([server])).paths(paths.build()).components(Some(components)).tags(Some(tags)).build()
}

/// What the operations refer to beyond their own bodies.
fn shared_schemas() -> Schemas {
    fn named<T: ToSchema>() -> (String, RefOr<Schema>) {
        (T::name().into_owned(), T::schema())
    }
    let mut schemas = vec![named::<ErrorEnvelope>(), named::<Event>(), named::<Permission>(), named::<OpaqueToken>(), named::<RoleName>()];
    schemas.extend([named::<EntityTags>(), named::<Cursor>(), named::<LinkPage>(), named::<LinkAsset>(), named::<ViewerFile>(), named::<Outcome>()]);
    ErrorEnvelope::schemas(&mut schemas);
    schemas
}

fn security_schemes() -> [(&'static str, SecurityScheme); 5] {
    let csrf = ApiKeyValue::with_description("X-CSRF-Token", "The session's CSRF token, with every unsafe call that the session cookie goes with.");
    let cookie = |name, about| SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(name, about)));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
    let about_bearer = "An access token (RFC 9068), verified as RFC8725 demands. With it, cookies are not read and no CSRF token is needed.";
    let key = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("pc_…");
    let about_key = "An API key, for machines: it may do what it was made for and its account may do, and nothing that needs a person.";
    [
        ("api_key", SecurityScheme::Http(key.description(Some(about_key)).build())),
        ("session", cookie(COOKIE, "The session cookie that signing in sets.")),
        ("csrf", SecurityScheme::ApiKey(ApiKey::Header(csrf))),
        ("refresh", cookie(refresh_cookie::COOKIE, "The refresh token, for pages; it needs the cookie that ties it to the browser beside it.")),
        ("bearer", SecurityScheme::Http(bearer.description(Some(about_bearer)).build())),
    ]
}

/// Headers of answers, each described once.
fn headers() -> Vec<(&'static str, Header)> {
    let text = |about: &str, longest: usize| {
        let schema = ObjectBuilder::new().schema_type(Type::String).max_length(Some(longest)).pattern(Some(r"^[\x20-\x7e]+$")).build();
        HeaderBuilder::new().schema(Some(schema)).description(Some(about)).build()
    };
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)));
    let seconds = seconds.minimum(Some(0)).maximum(Some(604_800)).build();
    let mut id =
        RefOr::T(Schema::Object(ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid))).build()));
    bound(&mut id);
    vec![
        ("X-Request-Id", HeaderBuilder::new().schema(Some(id)).description(Some("Names the request in the log.")).build()),
        ("Access-Control-Allow-Origin", text("The calling page's origin, where it is on the list.", 300)),
        ("Retry-After", HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds until it may work.")).build()),
        ("RateLimit", text("What is left of each quota, and seconds until all of it or, of none, some is back: `\"name\";r=59;t=1`.", 200)),
        ("RateLimit-Policy", text("Their numbers and their windows in seconds, as `\"name\";q=60;w=3`.", 200)),
        ("WWW-Authenticate", text("How to identify oneself (RFC 9110 §11.6.1), and what is missing (RFC 9470 §3).", 300)),
        ("Set-Cookie", text("The session, the known device or the refresh token; once for each.", 4096)),
        ("Clear-Site-Data", text("What the browser is to forget of this origin.", 100)),
        ("ETag", text("Names this version of the answer (RFC 9110 §8.8.3).", 100)),
        ("Cache-Control", text("How long the answer may be kept (RFC 9111).", 100)),
        ("Location", text("Where it is.", 300)),
        ("Content-Disposition", text("A file name for the answer.", 200)),
    ]
}

/// On every answer that got as far as the layer in question.
const ALWAYS: [&str; 4] = ["X-Request-Id", "Access-Control-Allow-Origin", "RateLimit", "RateLimit-Policy"];

fn add_headers<'n>(response: &mut Response, names: impl IntoIterator<Item = &'n str>) {
    for name in names {
        response.headers.insert(name.to_owned(), RefOr::Ref(Ref::new(format!("#/components/headers/{name}"))));
    }
}

fn refusal(status: u16, codes: &BTreeSet<&str>) -> Response {
    let about = codes.iter().map(|code| format!("`{code}`")).collect::<Vec<_>>().join(" or ");
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorEnvelope"))).build();
    let mut response = ResponseBuilder::new().description(about).content("application/json", content).build();
    add_headers(&mut response, ALWAYS);
    match status {
        401 => add_headers(&mut response, ["WWW-Authenticate"]),
        429 | 503 => add_headers(&mut response, ["Retry-After"]),
        _ => {}
    }
    response
}

/// Headers by reference, and bounds for the formats that have them.
fn finish(operation: &mut Operation, headers: &[(&str, Header)]) {
    for response in operation.responses.responses.values_mut() {
        let RefOr::T(response) = response else { continue };
        let named: Vec<&str> = headers.iter().map(|(name, _)| *name).filter(|name| response.headers.contains_key(*name)).collect();
        add_headers(response, named.into_iter().chain(ALWAYS));
        for content in response.content.values_mut() {
            if let RefOr::T(content) = content {
                content.schema.iter_mut().for_each(bound);
            }
        }
        for header in response.headers.values_mut() {
            if let RefOr::T(header) = header {
                header.schema.iter_mut().for_each(bound);
            }
        }
    }
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        if let Some(schema) = &mut parameter.schema {
            never_null(schema);
            bound(schema);
        }
    }
}

/// A parameter is there or not: it cannot be `null`.
fn never_null(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            if let SchemaType::Array(types) = &object.schema_type
                && let Some(other) = types.iter().find(|one| **one != Type::Null)
            {
                object.schema_type = SchemaType::Type(other.clone());
            }
        }
        RefOr::T(Schema::OneOf(one_of)) => {
            let is_null = |item: &RefOr<Schema>| matches!(item, RefOr::T(Schema::Object(Object { schema_type: SchemaType::Type(Type::Null), .. })));
            if let Some(other) = one_of.items.iter().find(|item| !is_null(item)) {
                *schema = other.clone();
            }
        }
        _ => {}
    }
}

/// Longest RFC 3339 time with nanoseconds and an offset.
const LONGEST_TIME: usize = 35;

fn bound(schema: &mut RefOr<Schema>) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => {
            match object.format {
                Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)) => (object.min_length, object.max_length) = (Some(36), Some(36)),
                Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)) => object.max_length = Some(LONGEST_TIME),
                Some(SchemaFormat::Custom(ref format)) if format == "date-time" => object.max_length = Some(LONGEST_TIME),
                _ => {}
            }
            object.properties.values_mut().for_each(bound);
        }
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                bound(items);
            }
        }
        Schema::OneOf(one_of) => one_of.items.iter_mut().for_each(bound),
        Schema::AnyOf(any_of) => any_of.items.iter_mut().for_each(bound),
        Schema::AllOf(all_of) => all_of.items.iter_mut().for_each(bound),
        _ => {}
    }
}
