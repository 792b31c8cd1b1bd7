//! Who is told of events, for those who manage webhooks. An endpoint is somebody else's server: its address is looked at here and at each
//! delivery, and changing it takes a proof of who one is, as making it and its keys do. The secret is shown once.
//! Practices 11.https-only, 11.signature, 11.audit. Attacks: `tests/suite/attacks/s11_webhooks/request_forgery.rs`.

pub mod deliveries;

use crate::{
    access::permission::demand::WebhooksManage,
    accounts::Name,
    api::shapes::{WebhookPublicKey, WebhookSecret},
    audit::{self, Entry, Event},
    edge::{
        guard::{Fresh, May},
        page::{Page, PageQuery, Window},
        valid::{Field, Valid, present},
    },
    error::{ApiError, ErrorCode},
    platform::crypto,
    state::State,
    webhooks::endpoint::{
        DisabledReason, Endpoint, Keys, LONGEST_OVERLAP, PublishedEvent, Target, host_of,
        store::{self, SealedKeys},
    },
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path, Query},
};
use garde::Validate;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use std::collections::BTreeSet;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

/// Replaced keys sign beside the new ones this long where nobody says how long.
const USUAL_OVERLAP: Duration = Duration::DAY;

/// An endpoint, without its secret.
#[derive(Serialize, ToSchema)]
pub struct EndpointAnswer {
    /// Its id.
    id: Uuid,
    /// What it is called.
    #[schema(value_type = Name)]
    name: String,
    /// Where it is.
    #[schema(value_type = Target)]
    url: String,
    /// Of what it is told; `null`: of all that is published, also by later versions.
    #[schema(value_type = Option<Vec<PublishedEvent>>, min_items = 1, max_items = 100)]
    events: Option<Vec<String>>,
    /// Whether it is told anything.
    enabled: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<DisabledReason>, nullable = false)]
    disabled_reason: Option<String>,
    /// Nothing has arrived there since.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time", nullable = false)]
    failing_since: Option<OffsetDateTime>,
    /// What verifies `v1a` signatures.
    #[schema(value_type = WebhookPublicKey)]
    public_key: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

fn show(endpoint: Endpoint) -> EndpointAnswer {
    let Endpoint { id, name, url, events, created_at, disabled_at, disabled_reason, failing_since, public_key, .. } = endpoint;
    EndpointAnswer { id, name, url, events, enabled: disabled_at.is_none(), disabled_reason, failing_since, public_key, created_at }
}

/// An endpoint with its secret.
#[derive(Serialize, ToSchema)]
pub struct NewEndpoint {
    /// What verifies `v1` signatures. It is shown this once.
    #[schema(value_type = WebhookSecret)]
    secret: String,
    /// What is known of it.
    endpoint: EndpointAnswer,
}

/// Looks at it again behind its lock: whoever has lost what let them in meanwhile comes too late.
async fn lock(connection: &mut PgConnection, may: &May<WebhooksManage>, id: Uuid, now: OffsetDateTime) -> Result<Endpoint, ApiError> {
    let found = store::lock(connection, id).await?;
    may.again(connection, now).await?;
    found.ok_or_else(|| ApiError::new(ErrorCode::NotFound))
}

fn entry(event: Event, may: &May<WebhooksManage>) -> Entry<'_> {
    Entry::new(event, &may.caller.origin, Some(may.principal.account), None)
}

/// Nobody is told at an address that leads inwards, or nowhere.
async fn ensure_public(state: &State, target: &Target) -> Result<(), ApiError> {
    let wait = state.settings.webhook_endpoints.patience;
    let checked = tokio::time::timeout(wait, state.fenced.fence.check(target.url())).await;
    if matches!(checked, Ok(Ok(()))) { Ok(()) } else { Err(ApiError::invalid_field("url", "leads to no public address")) }
}

fn check_events(events: Option<&BTreeSet<String>>) -> Result<(), ApiError> {
    let are_known = events.is_none_or(|events| events.iter().all(|name| PublishedEvent::is(name)));
    if are_known { Ok(()) } else { Err(ApiError::invalid_field("events", "names an event that is not published")) }
}

/// Gives an endpoint fresh keys, and shows the secret.
async fn set_keys(connection: &mut PgConnection, state: &State, endpoint: &mut Endpoint, overlap: Duration) -> Result<String, ApiError> {
    let (keys, now) = (Keys::generate(), state.clock.now());
    let id = crypto::uuid_v7(now);
    let (key_version, sealed) = keys.seal(&state.keyring, id).map_err(ApiError::internal)?;
    endpoint.public_key = keys.signing.public().map_err(ApiError::internal)?.to_string();
    store::set_keys(connection, endpoint.id, &SealedKeys { id, sealed, key_version }, &endpoint.public_key, (now, now + overlap)).await?;
    Ok(keys.secret.text().expose_secret().to_owned())
}

/// List endpoints
///
/// The newest first.
#[utoipa::path(get, path = "/v1/webhooks/endpoints", tag = "webhooks", params(PageQuery),
    responses((status = 200, description = "A page of endpoints", body = Page<EndpointAnswer>)))]
pub async fn list_endpoints(may: May<WebhooksManage>, state: Data<State>, query: Valid<Query<PageQuery>>) -> Result<HttpResponse, ApiError> {
    let PageQuery { limit, cursor } = query.0.into_inner();
    let window = Window::read(&state, "webhook endpoints", may.principal.account, limit, cursor.as_deref())?;
    let rows = store::list(&mut *state.pool.acquire().await?, window.after, window.rows()).await?;
    Ok(HttpResponse::Ok().json(window.page(rows, |row| row.id, show)?))
}

/// Read an endpoint
#[utoipa::path(get, path = "/v1/webhooks/endpoints/{id}", tag = "webhooks", params(("id" = Uuid, Path, description = "The endpoint")),
    responses((status = 200, description = "The endpoint", body = EndpointAnswer)))]
pub async fn read_endpoint(_: May<WebhooksManage>, state: Data<State>, id: Valid<Path<Uuid>>) -> Result<HttpResponse, ApiError> {
    let found = store::find(&mut *state.pool.acquire().await?, id.0.into_inner()).await?;
    Ok(HttpResponse::Ok().json(show(found.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?)))
}

/// A new endpoint.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateEndpoint {
    /// What to call it.
    #[garde(dive)]
    #[schema(value_type = Name)]
    name: Field<Name>,
    /// Where it is: `https`, at a public address, at port 443 or above 1023.
    #[garde(dive)]
    #[schema(value_type = Target)]
    url: Field<Target>,
    /// Of what to tell it; without it of all that is published, also by later versions.
    #[garde(length(min = 1, max = 100))]
    #[schema(value_type = Option<Vec<PublishedEvent>>, min_items = 1, max_items = 100)]
    events: Option<BTreeSet<String>>,
}

/// Make an endpoint
///
/// It is told of what happens from then on. The secret is shown this once.
#[utoipa::path(post, path = "/v1/webhooks/endpoints", tag = "webhooks", request_body = CreateEndpoint,
    responses((status = 201, description = "The endpoint", body = NewEndpoint)))]
pub async fn create_endpoint(
    may: Fresh<May<WebhooksManage>>,
    state: Data<State>,
    body: Valid<Json<CreateEndpoint>>,
) -> Result<HttpResponse, ApiError> {
    let (Fresh(may), now) = (may, state.clock.now());
    let CreateEndpoint { name, url, events } = body.0.into_inner();
    let (name, target) = (name.take("name")?.as_str().to_owned(), url.take("url")?);
    check_events(events.as_ref())?;
    ensure_public(&state, &target).await?;
    let mut endpoint = Endpoint {
        id: crypto::uuid_v7(now),
        name,
        url: target.as_str().to_owned(),
        events: events.map(|events| events.into_iter().collect()),
        created_at: now,
        created_by: Some(may.principal.account),
        disabled_at: None,
        disabled_reason: None,
        failing_since: None,
        public_key: String::new(),
    };
    let mut transaction = state.pool.begin().await?;
    let has_room = store::insert(&mut transaction, &endpoint, state.settings.webhook_endpoints.number).await?;
    may.again(&mut transaction, now).await?;
    if !has_room {
        return Err(ApiError::new(ErrorCode::TooMany));
    }
    let secret = set_keys(&mut transaction, &state, &mut endpoint, Duration::ZERO).await?;
    let detail = json!({ "endpoint": endpoint.id, "host": target.host() });
    audit::record(&mut transaction, &state.keyring, now, entry(Event::WebhookEndpointCreated, &may).detail(detail)).await?;
    transaction.commit().await?;
    Ok(HttpResponse::Created().json(NewEndpoint { secret, endpoint: show(endpoint) }))
}

/// What to change; what is left out stays.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeEndpoint {
    /// What to call it.
    #[garde(dive)]
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Name, required = false)]
    name: Option<Field<Name>>,
    /// Where it is.
    #[garde(dive)]
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Target, required = false)]
    url: Option<Field<Target>>,
    /// Of what to tell it; `null`: of all that is published.
    #[garde(inner(inner(length(min = 1, max = 100))))]
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<PublishedEvent>>, min_items = 1, max_items = 100, required = false)]
    events: Option<Option<BTreeSet<String>>>,
    /// Whether to tell it anything. What it missed meanwhile is not made up for; what waited goes out.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = bool, required = false)]
    enabled: Option<bool>,
}

impl ChangeEndpoint {
    /// Makes the changes, and says which they were.
    fn apply(self, endpoint: &mut Endpoint, target: Option<Target>, now: OffsetDateTime) -> Result<Vec<&'static str>, ApiError> {
        let mut fields = Vec::new();
        if let Some(name) = self.name {
            endpoint.name = name.take("name")?.as_str().to_owned();
            fields.push("name");
        }
        if let Some(target) = target {
            endpoint.url = target.as_str().to_owned();
            // what was elsewhere says nothing about here
            endpoint.failing_since = None;
            fields.push("url");
        }
        if let Some(events) = self.events {
            endpoint.events = events.map(|events| events.into_iter().collect());
            fields.push("events");
        }
        if let Some(enabled) = self.enabled.filter(|enabled| *enabled != endpoint.disabled_at.is_none()) {
            (endpoint.disabled_at, endpoint.disabled_reason) =
                if enabled { (None, None) } else { (Some(now), Some(DisabledReason::ByHand.name().to_owned())) };
            endpoint.failing_since = None;
            fields.push("enabled");
        }
        Ok(fields)
    }
}

/// Change an endpoint
///
/// Another address gets what waits, signed with the same keys.
#[utoipa::path(patch, path = "/v1/webhooks/endpoints/{id}", tag = "webhooks", request_body = ChangeEndpoint,
    params(("id" = Uuid, Path, description = "The endpoint")), responses((status = 200, description = "The endpoint", body = EndpointAnswer)))]
pub async fn change_endpoint(
    may: Fresh<May<WebhooksManage>>,
    state: Data<State>,
    id: Valid<Path<Uuid>>,
    body: Valid<Json<ChangeEndpoint>>,
) -> Result<HttpResponse, ApiError> {
    let (Fresh(may), id, now) = (may, id.0.into_inner(), state.clock.now());
    let mut wanted = body.0.into_inner();
    let target = wanted.url.take().map(|url| url.take("url")).transpose()?;
    check_events(wanted.events.as_ref().and_then(Option::as_ref))?;
    // before the lock: a name may take its time
    if let Some(target) = &target {
        ensure_public(&state, target).await?;
    }
    let mut transaction = state.pool.begin().await?;
    let mut endpoint = lock(&mut transaction, &may, id, now).await?;
    let fields = wanted.apply(&mut endpoint, target, now)?;
    if !fields.is_empty() {
        store::update(&mut transaction, &endpoint).await?;
        let detail = json!({ "endpoint": id, "host": host_of(&endpoint.url), "fields": fields });
        audit::record(&mut transaction, &state.keyring, now, entry(Event::WebhookEndpointChanged, &may).detail(detail)).await?;
    }
    transaction.commit().await?;
    state.webhook_waits.notify_one();
    Ok(HttpResponse::Ok().json(show(endpoint)))
}

/// Delete an endpoint
///
/// With its keys, and with what it was told and was to be told.
#[utoipa::path(delete, path = "/v1/webhooks/endpoints/{id}", tag = "webhooks", params(("id" = Uuid, Path, description = "The endpoint")),
    responses((status = 204, description = "It is gone")))]
pub async fn delete_endpoint(may: Fresh<May<WebhooksManage>>, state: Data<State>, id: Valid<Path<Uuid>>) -> Result<HttpResponse, ApiError> {
    let (Fresh(may), id, now) = (may, id.0.into_inner(), state.clock.now());
    let mut transaction = state.pool.begin().await?;
    let endpoint = lock(&mut transaction, &may, id, now).await?;
    store::delete(&mut transaction, id).await?;
    let detail = json!({ "endpoint": id, "host": host_of(&endpoint.url) });
    audit::record(&mut transaction, &state.keyring, now, entry(Event::WebhookEndpointDeleted, &may).detail(detail)).await?;
    transaction.commit().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// How keys are replaced.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateSecret {
    /// How long the old ones sign beside the new ones: a day where it is not said; 0: not at all.
    #[garde(range(min = 0, max = LONGEST_OVERLAP.whole_hours()))]
    #[schema(minimum = 0, maximum = 168, example = 24)]
    overlap_hours: Option<i64>,
}

/// Replace an endpoint's keys
///
/// Until the overlap ends each message has the signatures of both, so that the endpoint can take up the new ones at any time in it. Of keys that
/// were being replaced already the older ones go at once. The secret is shown this once.
#[utoipa::path(post, path = "/v1/webhooks/endpoints/{id}/rotate-secret", tag = "webhooks", request_body = RotateSecret,
    params(("id" = Uuid, Path, description = "The endpoint")), responses((status = 201, description = "The endpoint", body = NewEndpoint)))]
pub async fn rotate_secret(
    may: Fresh<May<WebhooksManage>>,
    state: Data<State>,
    id: Valid<Path<Uuid>>,
    body: Valid<Json<RotateSecret>>,
) -> Result<HttpResponse, ApiError> {
    let (Fresh(may), id, now) = (may, id.0.into_inner(), state.clock.now());
    let overlap = body.0.overlap_hours.map_or(USUAL_OVERLAP, Duration::hours);
    let mut transaction = state.pool.begin().await?;
    let mut endpoint = lock(&mut transaction, &may, id, now).await?;
    let secret = set_keys(&mut transaction, &state, &mut endpoint, overlap).await?;
    let detail = json!({ "endpoint": id, "overlap_hours": overlap.whole_hours() });
    audit::record(&mut transaction, &state.keyring, now, entry(Event::WebhookSecretRotated, &may).detail(detail)).await?;
    transaction.commit().await?;
    Ok(HttpResponse::Created().json(NewEndpoint { secret, endpoint: show(endpoint) }))
}
