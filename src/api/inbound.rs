//! What other services tell by webhooks: taking it in, and looking at what came.
//!
//! Nothing of a session is asked for or looked at where it comes in: the signature is the proof, whoever carries it. A page that makes a browser
//! send here has no key, and the CSRF layer refuses it by its `Origin` all the same. The order is the defence: a quota before any work,
//! then what costs nothing, then the body and the keys, then the database; every attempt that got past the quota is recorded.
//! Practices 11.signature, 11.replay, 11.ip-allow-list, 11.audit, 4.sensitive-routes. Attacks: `tests/suite/attacks/s11_webhooks/`.

use crate::{
    access::permission::demand::WebhooksManage,
    api::shapes::{InboxState, ReceivedStatus, SourceNameText, WebhookBody, WebhookId, WebhookType},
    audit::{self, Entry, Event},
    edge::{
        guard::{Anyone, Caller, May},
        page::{Page, PageQuery, Window},
        rate_limit::{self, Count, Quota},
        valid::{Segment, Unread, Valid},
    },
    error::{ApiError, ErrorCode},
    settings::is_entry_name,
    state::State,
    webhooks::inbound::{
        self, Claim, Kept, Reason, Source,
        store::{self, Listed},
    },
};
use actix_web::{
    HttpResponse,
    web::{Data, Path, Query},
};
use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// The name of a source, as a path has it.
pub struct SourceName(String);

impl Segment for SourceName {
    fn parse(segment: &str) -> Option<Self> {
        is_entry_name(segment).then(|| Self(segment.to_owned()))
    }
}

/// That it is safe here.
#[derive(Serialize, ToSchema)]
pub struct Received {
    /// Its id here.
    id: Uuid,
    /// Whether it is new.
    status: ReceivedStatus,
}

/// Why a delivery goes no further.
enum Stop {
    /// It does not hold: to be recorded.
    Refused(Reason),
    /// The body broke off; or it holds, and something else is in the way.
    Failed(ApiError),
}

impl<E: Into<ApiError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Take in a webhook
///
/// From a source that the settings name, signed as its scheme has it: Standard Webhooks (`webhook-id`, `webhook-timestamp`,
/// `webhook-signature`), GitHub (`x-hub-signature-256`, `x-github-delivery`) or Stripe (`stripe-signature`). The body is a JSON object, whatever
/// its media type, and is not compressed. What was taken in is stored; sent again to the byte, it is answered 200 and changes nothing,
/// unless it was given up: then it is dealt with after all.
/// `docs/webhooks.md` has the rules.
#[utoipa::path(post, path = "/v1/webhooks/inbound/{source}", tag = "webhooks",
    params(("source" = inline(SourceNameText), Path, description = "The source, by its name in the settings")),
    responses((status = 202, description = "It is stored and will be dealt with", body = Received),
        (status = 200, description = "It came before", body = Received)))]
pub async fn receive(anyone: Anyone, state: Data<State>, source: Valid<Path<SourceName>>, sent: Valid<Unread>) -> Result<HttpResponse, ApiError> {
    let (name, Valid(sent), caller) = (source.0.into_inner().0, sent, anyone.caller);
    let source = state.settings.inbound.source(&name).ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
    let network = caller.client.network().to_string();
    let counts = [Count::of(&state, Quota::WebhookRefusals, &["webhook", &source.name, &network])];
    let spent = rate_limit::spend(&state, &counts).await?;
    match take(&state, source, &caller, sent).await {
        Ok(taken) => {
            // who has a copy need not have a key: copies count as what does not hold
            if taken.status == ReceivedStatus::Accepted {
                rate_limit::give_back(&state, &spent).await?;
            }
            Ok(received(&state, source, taken))
        }
        Err(Stop::Refused(reason)) => Err(refuse(&state, source, &caller, reason).await?),
        Err(Stop::Failed(error)) => {
            // all but a body that breaks off comes of a message that holds: its sender will try again
            if error.code() != ErrorCode::Malformed {
                rate_limit::give_back(&state, &spent).await?;
            }
            Err(error)
        }
    }
}

async fn take(state: &State, source: &Source, caller: &Caller, mut sent: Unread) -> Result<Received, Stop> {
    if !source.calls_from(caller.client.place(&state.settings.trusted_proxies)) {
        return Err(Stop::Refused(Reason::Network));
    }
    let claim = source.keys.claim(|name| sent.header(name)).ok_or(Stop::Refused(Reason::Headers))?;
    let now = state.clock.now();
    if !claim.is_timely(state.settings.inbound.tolerance, now) {
        return Err(Stop::Refused(Reason::Time));
    }
    let body = sent.read(source.max_bytes).await.map_err(|error| match error.code() {
        ErrorCode::TooLarge => Stop::Refused(Reason::Size),
        _ => Stop::Failed(error),
    })?;
    if !source.keys.made(&claim, &body) {
        return Err(Stop::Refused(Reason::Signature));
    }
    // of who holds a key only: strangers use nothing of it up, neither with what they made nor with copies of what they saw
    let spent = rate_limit::spend(state, &[Count::of(state, Quota::Webhooks, &["webhooks", &source.name])]).await?;
    let stored = keep(state, source, caller, (&claim, &body), now).await;
    if !matches!(stored, Ok(Received { status: ReceivedStatus::Accepted, .. })) {
        rate_limit::give_back(state, &spent).await?;
    }
    stored
}

/// With its event. The quotas are counted outside of it: copies that wait for the first one must not keep it from its connection.
async fn keep(state: &State, source: &Source, caller: &Caller, message: (&Claim, &[u8]), now: OffsetDateTime) -> Result<Received, Stop> {
    let mut transaction = state.pool.begin().await?;
    let kept = inbound::keep(&mut transaction, &state.keyring, source, message, now).await?;
    let (event, id, kind, status) = match kept {
        Ok((Kept::Revived(id), kind)) => (Event::WebhookReceived, id, kind, ReceivedStatus::Resumed),
        Ok((Kept::New(id), kind)) => (Event::WebhookReceived, id, kind, ReceivedStatus::Accepted),
        Ok((Kept::Again(id), kind)) => (Event::WebhookRepeated, id, kind, ReceivedStatus::Repeated),
        Ok((Kept::Reused, _)) => return Err(Stop::Refused(Reason::Reused)),
        Err(reason) => return Err(Stop::Refused(reason)),
    };
    let entry = Entry::new(event, &caller.origin, None, None);
    let detail = json!({ "webhook": id, "source": source.name, "type": kind });
    audit::record(&mut transaction, &state.keyring, now, entry.detail(detail)).await?;
    transaction.commit().await?;
    Ok(Received { id, status })
}

fn received(state: &State, source: &Source, received: Received) -> HttpResponse {
    let (outcome, mut answer) = match received.status {
        ReceivedStatus::Accepted => {
            state.inbox_waits.notify_one();
            ("accepted", HttpResponse::Accepted())
        }
        ReceivedStatus::Resumed => {
            state.inbox_waits.notify_one();
            ("resumed", HttpResponse::Accepted())
        }
        ReceivedStatus::Repeated => ("repeated", HttpResponse::Ok()),
    };
    metrics::counter!("portcullis_inbox_received_total", "source" => source.name.clone(), "outcome" => outcome).increment(1);
    answer.json(received)
}

/// Records the reason, which the caller is not told.
async fn refuse(state: &State, source: &Source, caller: &Caller, reason: Reason) -> Result<ApiError, ApiError> {
    let entry = Entry::new(Event::WebhookRefused, &caller.origin, None, None).refused();
    let detail = json!({ "source": source.name, "reason": reason.name() });
    audit::record(&mut *state.pool.acquire().await?, &state.keyring, state.clock.now(), entry.detail(detail)).await?;
    metrics::counter!("portcullis_inbox_received_total", "source" => source.name.clone(), "outcome" => reason.name()).increment(1);
    Ok(ApiError::new(match reason {
        Reason::Network => ErrorCode::Forbidden,
        Reason::Headers | Reason::Contents => ErrorCode::Malformed,
        Reason::Size => ErrorCode::TooLarge,
        Reason::Time | Reason::Signature | Reason::Reused => ErrorCode::WebhookRefused,
    }))
}

/// A webhook that came in.
#[derive(Serialize, ToSchema)]
pub struct InboundWebhook {
    /// Its id here.
    id: Uuid,
    /// Who told it.
    #[schema(value_type = SourceNameText)]
    source: String,
    /// Its own id; of GitHub's, which sign none, a digest of the body.
    #[schema(value_type = WebhookId)]
    message_id: String,
    /// What kind of event it says it is.
    #[serde(rename = "type")]
    #[schema(value_type = Option<WebhookType>)]
    kind: Option<String>,
    /// How far it is.
    #[schema(value_type = InboxState)]
    state: String,
    /// How often it was tried.
    #[schema(minimum = 0, maximum = 1000)]
    attempts: i32,
    /// When it came.
    #[serde(with = "time::serde::rfc3339")]
    received_at: OffsetDateTime,
    /// When it was dealt with, or given up.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = "date-time")]
    finished_at: Option<OffsetDateTime>,
}

fn show(listed: Listed) -> InboundWebhook {
    let Listed { id, source, nonce, kind, state, attempts, received_at, finished_at } = listed;
    InboundWebhook { id, source, message_id: nonce, kind, state, attempts, received_at, finished_at }
}

/// List webhooks that came in
///
/// The newest first, without what they said.
#[utoipa::path(get, path = "/v1/webhooks/inbound", tag = "webhooks", params(PageQuery),
    responses((status = 200, description = "A page of webhooks", body = Page<InboundWebhook>)))]
pub async fn list(may: May<WebhooksManage>, state: Data<State>, query: Valid<Query<PageQuery>>) -> Result<HttpResponse, ApiError> {
    let PageQuery { limit, cursor } = query.0.into_inner();
    let window = Window::read(&state, "inbound webhooks", may.principal.account, limit, cursor.as_deref())?;
    let rows = store::list(&mut *state.pool.acquire().await?, window.after, window.rows()).await?;
    Ok(HttpResponse::Ok().json(window.page(rows, |row| row.id, show)?))
}

/// What a webhook said.
#[derive(Serialize, ToSchema)]
pub struct InboundWebhookContents {
    /// The webhook.
    webhook: InboundWebhook,
    /// Its body, byte by byte; `null` once it is forgotten.
    #[schema(value_type = Option<WebhookBody>)]
    body: Option<String>,
}

/// Read a webhook that came in
///
/// With what it said, as long as that is kept. Who reads it is recorded: it may be about people.
#[utoipa::path(get, path = "/v1/webhooks/inbound/events/{id}", tag = "webhooks", params(("id" = Uuid, Path, description = "The webhook")),
    responses((status = 200, description = "The webhook", body = InboundWebhookContents)))]
pub async fn read(may: May<WebhooksManage>, state: Data<State>, id: Valid<Path<Uuid>>) -> Result<HttpResponse, ApiError> {
    let (id, now) = (id.0.into_inner(), state.clock.now());
    let mut transaction = state.pool.begin().await?;
    let (listed, sealed) = store::find(&mut transaction, id).await?.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
    let plain = sealed.map(|(version, sealed)| inbound::open(&state.keyring, id, version, &sealed)).transpose()?;
    let body = plain.map(String::from_utf8).transpose().map_err(ApiError::internal)?;
    let entry = Entry::new(Event::WebhookOpened, &may.caller.origin, Some(may.principal.account), None);
    audit::record(&mut transaction, &state.keyring, now, entry.detail(json!({ "webhook": id, "source": listed.source }))).await?;
    transaction.commit().await?;
    Ok(HttpResponse::Ok().json(InboundWebhookContents { webhook: show(listed), body }))
}
