//! The audit log: all of it for auditors, one's own part for everybody. Practices 1.object-check, 15.excessive-data.
//! Attacks: `tests/suite/attacks/s01_authorization/`.

use crate::{
    access::permission::demand::AuditRead,
    accounts::Email,
    api::shapes::{Cursor, DeviceName, NetworkAddress, Outcome},
    audit::{self, Detail, Event, Filter, Personal, Recorded},
    edge::{
        guard::{May, SignedIn},
        page::{MAX_LIMIT, Page, PageQuery, Window},
        valid::Valid,
    },
    error::ApiError,
    state::State,
};
use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use garde::Validate;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Something that happened.
#[derive(Serialize, ToSchema)]
pub struct EventAnswer {
    /// Its id.
    id: Uuid,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// What.
    #[schema(value_type = Event)]
    event: String,
    /// `success` or `refused`.
    #[schema(value_type = Outcome)]
    outcome: String,
    /// Who did it; `null`: nobody who was signed in.
    actor: Option<Uuid>,
    /// To whose account.
    subject: Option<Uuid>,
    /// In which request, as in the log.
    request_id: Option<Uuid>,
    /// What else.
    detail: Detail,
    /// The client's address; missing once the person was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<NetworkAddress>, nullable = false)]
    address: Option<String>,
    /// The client's device.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<DeviceName>, nullable = false)]
    device: Option<String>,
    /// The other party's address, where there are two; as much of it as the settings let the device list keep.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<NetworkAddress>, nullable = false)]
    other_address: Option<String>,
    /// E-mail addresses that it is about, the newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Email>, max_items = 2)]
    emails: Vec<String>,
}

fn show(recorded: Recorded) -> EventAnswer {
    let Recorded { id, at, event, outcome, actor, subject, request, detail, personal } = recorded;
    let (device, Personal { address, other_address, emails, .. }) =
        personal.map(|personal| (Some(personal.device.clone()), personal)).unwrap_or_default();
    let address = address.map(|address| address.to_string());
    EventAnswer { id, at, event, outcome, actor, subject, request_id: request, detail, address, device, other_address, emails }
}

/// List what happened to one's account
///
/// The newest first.
#[utoipa::path(get, path = "/v1/me/events", tag = "me", params(PageQuery),
    responses((status = 200, description = "A page of events", body = Page<EventAnswer>)))]
pub async fn list_own_events(signed_in: SignedIn, state: Data<State>, query: Valid<Query<PageQuery>>) -> Result<HttpResponse, ApiError> {
    let (PageQuery { limit, cursor }, owner) = (query.0.into_inner(), signed_in.principal.account);
    let window = Window::read(&state, "own events", owner, limit, cursor.as_deref())?;
    let filter = Filter { subject: Some(owner), before: window.after, ..Filter::default() };
    let rows = audit::list(&mut *state.pool.acquire().await?, &state.keyring, &filter, window.rows()).await?;
    // from where an administrator acted is not the owner's business
    let show_own = |row: Recorded| {
        let is_somebody_elses = row.actor.is_some_and(|actor| actor != owner);
        show(Recorded { personal: row.personal.filter(|_| !is_somebody_elses), ..row })
    };
    Ok(HttpResponse::Ok().json(window.page(rows, |row| row.id, show_own)?))
}

/// Which events, and how many.
#[derive(Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// About this account.
    #[garde(skip)]
    subject: Option<Uuid>,
    /// By this account.
    #[garde(skip)]
    actor: Option<Uuid>,
    /// Of this kind.
    #[garde(custom(an_event))]
    #[param(value_type = Option<Event>)]
    event: Option<String>,
    /// `success` or `refused`.
    #[garde(custom(an_outcome))]
    #[param(value_type = Option<Outcome>)]
    outcome: Option<String>,
    /// Not before this time.
    #[garde(skip)]
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[param(value_type = Option<String>, format = "date-time")]
    from: Option<OffsetDateTime>,
    /// Before this time.
    #[garde(skip)]
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[param(value_type = Option<String>, format = "date-time")]
    until: Option<OffsetDateTime>,
    /// Items of a page, 1 to 100.
    #[garde(range(min = 1, max = MAX_LIMIT))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// From the page before.
    #[garde(length(bytes, max = 64))]
    #[param(value_type = Option<Cursor>)]
    cursor: Option<String>,
}

#[expect(clippy::ref_option, reason = "the shape that garde calls")]
fn an_event(name: &Option<String>, (): &()) -> garde::Result {
    let is_known = name.as_ref().is_none_or(|name| Event::ALL.iter().any(|event| event.name() == name));
    if is_known { Ok(()) } else { Err(garde::Error::new("is no event")) }
}

#[expect(clippy::ref_option, reason = "the shape that garde calls")]
fn an_outcome(outcome: &Option<String>, (): &()) -> garde::Result {
    if matches!(outcome.as_deref(), None | Some("success" | "refused")) { Ok(()) } else { Err(garde::Error::new("must be success or refused")) }
}

/// List events
///
/// The newest first.
#[utoipa::path(get, path = "/v1/audit/events", tag = "audit", params(EventsQuery),
    responses((status = 200, description = "A page of events", body = Page<EventAnswer>)))]
pub async fn list(may: May<AuditRead>, state: Data<State>, query: Valid<Query<EventsQuery>>) -> Result<HttpResponse, ApiError> {
    let EventsQuery { subject, actor, event, outcome, from, until, limit, cursor } = query.0.into_inner();
    let window = Window::read(&state, "events", may.principal.account, limit, cursor.as_deref())?;
    let filter = Filter { subject, actor, event, outcome, from, until, before: window.after, not_subject: None };
    let rows = audit::list(&mut *state.pool.acquire().await?, &state.keyring, &filter, window.rows()).await?;
    Ok(HttpResponse::Ok().json(window.page(rows, |row| row.id, show)?))
}
