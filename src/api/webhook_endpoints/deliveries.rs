//! What endpoints were told: the log, a test message, and sending again. Nothing of what an endpoint answers is shown but its status.
//! Practices 11.audit, 11.https-only. Attacks: `tests/suite/attacks/s11_webhooks/request_forgery.rs`.

use crate::{
    access::permission::demand::WebhooksManage,
    api::webhook_endpoints::{entry, lock},
    audit::{self, Event},
    edge::{
        guard::May,
        page::{Page, PageQuery, Window},
        valid::Valid,
    },
    error::{ApiError, ErrorCode},
    state::State,
    webhooks::{
        delivery::{
            self, AttemptOutcome,
            store::{self, Logged, LoggedAttempt, MOST_REPLAYED},
        },
        endpoint,
    },
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path, Query},
};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// What becomes of a message.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "described, never made")]
pub enum DeliveryState {
    /// It is tried, or will be.
    Waiting,
    /// It was taken.
    Delivered,
    /// It is not tried any more.
    GivenUp,
}

/// What a message tells: an event that is published, or `webhook.test`.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 100, pattern = r"^[a-z_]+\.[a-z_]+$", example = "account.created")]
#[expect(dead_code, reason = "described, never made")]
pub struct MessageType(String);

/// An attempt to deliver a message.
#[derive(Serialize, ToSchema)]
pub struct AttemptAnswer {
    /// Which attempt, from 1. One that is missing was cut off with the process that made it.
    #[schema(minimum = 1, maximum = 2147483647)]
    number: i32,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// How long it took.
    #[schema(minimum = 0, maximum = 2147483647)]
    milliseconds: i32,
    /// How it ended.
    #[schema(value_type = AttemptOutcome)]
    outcome: String,
    /// What was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 100, maximum = 999, nullable = false)]
    status: Option<i16>,
}

/// A message to an endpoint.
#[derive(Serialize, ToSchema)]
pub struct DeliveryAnswer {
    /// Its id: `webhook-id` is `msg_` and this without hyphens.
    id: Uuid,
    /// Its place in what the endpoint is told, from 1 without gaps.
    #[schema(minimum = 1, maximum = 9007199254740991_i64)]
    sequence: i64,
    /// What it tells.
    #[schema(value_type = MessageType)]
    r#type: String,
    /// Of which event; `null`: it is a test.
    event_id: Option<Uuid>,
    /// What becomes of it.
    #[schema(value_type = DeliveryState)]
    state: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it is tried next, as long as its endpoint is told anything.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time", nullable = false)]
    next_attempt_at: Option<OffsetDateTime>,
    /// The newest attempts, at most 50, the oldest of them first.
    #[schema(max_items = 50)]
    attempts: Vec<AttemptAnswer>,
}

fn show(logged: Logged, attempts: Vec<LoggedAttempt>) -> DeliveryAnswer {
    let Logged { id, sequence, event, event_id, created_at, state, due_at, .. } = logged;
    let attempt = |LoggedAttempt { number, at, milliseconds, outcome, status }| AttemptAnswer { number, at, milliseconds, outcome, status };
    let next_attempt_at = (state == "waiting").then_some(due_at);
    DeliveryAnswer {
        id,
        sequence,
        r#type: event,
        event_id,
        state,
        created_at,
        next_attempt_at,
        attempts: attempts.into_iter().map(attempt).collect(),
    }
}

/// List what an endpoint was told
///
/// The newest first, each with its attempts.
#[utoipa::path(get, path = "/v1/webhooks/endpoints/{id}/deliveries", tag = "webhooks", params(("id" = Uuid, Path, description = "The endpoint"), PageQuery),
    responses((status = 200, description = "A page of messages", body = Page<DeliveryAnswer>)))]
pub async fn list_deliveries(
    may: May<WebhooksManage>,
    state: Data<State>,
    id: Valid<Path<Uuid>>,
    query: Valid<Query<PageQuery>>,
) -> Result<HttpResponse, ApiError> {
    let (PageQuery { limit, cursor }, id) = (query.0.into_inner(), id.0.into_inner());
    let name = format!("webhook deliveries {id}");
    let window = Window::read(&state, &name, may.principal.account, limit, cursor.as_deref())?;
    let mut connection = state.pool.acquire().await?;
    let mut view = store::view(&mut connection).await?;
    endpoint::store::find(&mut view, id).await?.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
    let rows = store::list(&mut view, id, window.after, window.rows()).await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let mut attempts = store::attempts_of(&mut view, &ids).await?;
    Ok(HttpResponse::Ok().json(window.page(
        rows,
        |row| row.id,
        |row| {
            let own = attempts.remove(&row.id).unwrap_or_default();
            show(row, own)
        },
    )?))
}

/// Send a test message
///
/// Of the type `webhook.test`, signed, numbered and tried like any other; while the endpoint is disabled it waits.
#[utoipa::path(post, path = "/v1/webhooks/endpoints/{id}/test", tag = "webhooks", params(("id" = Uuid, Path, description = "The endpoint")),
    responses((status = 202, description = "The message, which waits", body = DeliveryAnswer)))]
pub async fn test_endpoint(may: May<WebhooksManage>, state: Data<State>, id: Valid<Path<Uuid>>) -> Result<HttpResponse, ApiError> {
    let (id, now) = (id.0.into_inner(), state.clock.now());
    let mut transaction = state.pool.begin().await?;
    lock(&mut transaction, &may, id, now).await?;
    let sequence = store::next_sequence(&mut transaction, id).await?;
    let made = delivery::test(sequence, now).map_err(ApiError::internal)?;
    let ids = store::insert(&mut transaction, id, &[made], now).await?;
    let delivery = ids.first().copied().ok_or_else(|| ApiError::new(ErrorCode::Internal))?;
    let logged = store::find(&mut transaction, delivery).await?.ok_or_else(|| ApiError::new(ErrorCode::Internal))?;
    let detail = json!({ "endpoint": id, "delivery": delivery });
    audit::record(&mut transaction, &state.keyring, now, entry(Event::WebhookTested, &may).detail(detail)).await?;
    transaction.commit().await?;
    state.webhook_waits.notify_one();
    Ok(HttpResponse::Accepted().json(show(logged, Vec::new())))
}

/// Send a message again
///
/// The same one, with its id and number, as if it were new; one that waits goes out now. While the endpoint is disabled it waits.
#[utoipa::path(post, path = "/v1/webhooks/deliveries/{id}/replay", tag = "webhooks", params(("id" = Uuid, Path, description = "The message")),
    responses((status = 202, description = "The message, which waits", body = DeliveryAnswer)))]
pub async fn replay_delivery(may: May<WebhooksManage>, state: Data<State>, id: Valid<Path<Uuid>>) -> Result<HttpResponse, ApiError> {
    let (id, now) = (id.0.into_inner(), state.clock.now());
    let mut transaction = state.pool.begin().await?;
    let of = store::endpoint_of(&mut transaction, id).await?.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
    lock(&mut transaction, &may, of, now).await?;
    if !store::replay(&mut transaction, id, now).await? {
        return Err(ApiError::new(ErrorCode::NotFound));
    }
    let logged = store::find(&mut transaction, id).await?.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
    let attempts = store::attempts_of(&mut transaction, &[id]).await?.remove(&id).unwrap_or_default();
    let detail = json!({ "endpoint": of, "delivery": id, "count": 1 });
    audit::record(&mut transaction, &state.keyring, now, entry(Event::WebhookReplayed, &may).detail(detail)).await?;
    transaction.commit().await?;
    state.webhook_waits.notify_one();
    Ok(HttpResponse::Accepted().json(show(logged, attempts)))
}

/// What to send again.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplaySince {
    /// What was made at or after this time.
    #[garde(skip)]
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = "date-time")]
    since: OffsetDateTime,
    /// Only what was given up; otherwise also what arrived.
    #[garde(skip)]
    #[serde(default)]
    only_given_up: bool,
}

/// What is sent again.
#[derive(Serialize, ToSchema)]
pub struct Replayed {
    /// How many messages.
    #[schema(minimum = 0, maximum = 1000)]
    count: i64,
    /// The number of the last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 9007199254740991_i64, nullable = false)]
    last_sequence: Option<i64>,
    /// Whether there are more than one call sends.
    more: bool,
}

/// Send again what an endpoint was told since a time
///
/// The oldest first, at most 1000 messages in one call. While the endpoint is disabled they wait.
#[utoipa::path(post, path = "/v1/webhooks/endpoints/{id}/replay", tag = "webhooks", request_body = ReplaySince,
    params(("id" = Uuid, Path, description = "The endpoint")), responses((status = 202, description = "What is sent again", body = Replayed)))]
pub async fn replay_since(
    may: May<WebhooksManage>,
    state: Data<State>,
    id: Valid<Path<Uuid>>,
    body: Valid<Json<ReplaySince>>,
) -> Result<HttpResponse, ApiError> {
    let (id, now, ReplaySince { since, only_given_up }) = (id.0.into_inner(), state.clock.now(), body.0.into_inner());
    let mut transaction = state.pool.begin().await?;
    lock(&mut transaction, &may, id, now).await?;
    let (count, last_sequence) = store::replay_since(&mut transaction, id, (since, only_given_up), now).await?;
    if count > 0 {
        let detail = json!({ "endpoint": id, "count": count });
        audit::record(&mut transaction, &state.keyring, now, entry(Event::WebhookReplayed, &may).detail(detail)).await?;
    }
    transaction.commit().await?;
    state.webhook_waits.notify_one();
    Ok(HttpResponse::Accepted().json(Replayed { count, last_sequence, more: count == MOST_REPLAYED }))
}
