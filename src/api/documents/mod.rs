//! Documents: the demonstration resource. The guard says who may call, the judge says at which document (practice 10.layered); what may not be
//! read is not there. Changes name the version that they change (RFC 9110 §13.1.1), so that nobody overwrites what they have not seen.
//! Practices 1.object-check, 1.abac, 1.never-trust-client, 3.html-sanitize, 10.object-level.
//! Attacks: `tests/suite/attacks/s10_access_control/others_documents.rs`.

mod entity_tag;
pub mod shares;

use crate::{
    access::{
        Principal, Transport,
        permission::{
            Demand, Held, Permission,
            demand::{DocumentsRead, DocumentsWrite},
        },
        policy::{Action, Circumstances, Subject},
        role,
    },
    accounts::{AccountId, Name, RichText},
    api::shapes::{Cursor, EntityTags},
    audit::{self, Entry, Event},
    documents::{
        Change, Classification, Document, Draft, Judge, Unjudged,
        store::{self, Filter},
    },
    edge::{
        guard::May,
        page::{MAX_LIMIT, Page, Window},
        valid::{Field, Valid, present},
    },
    error::{ApiError, ErrorCode},
    platform::crypto,
    state::State,
};
use actix_web::{
    HttpResponse,
    http::header::{ETAG, IfMatch, LOCATION},
    web::{Data, Header, Json, Path, Query},
};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use std::net::{IpAddr, Ipv4Addr};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Fewest and most rows that are looked through at once for a list.
const BATCH: (usize, usize) = (20, 100);
/// Rows that are looked through for one page at most, each of which costs a decision on a thread that serves others: a page that is not full by
/// then has a cursor for the next.
const MAX_CONSIDERED: usize = 300;

/// A document.
#[derive(Serialize, ToSchema)]
pub struct DocumentAnswer {
    /// Its id.
    id: Uuid,
    /// Whose it is.
    owner_id: AccountId,
    /// What it is called.
    #[schema(value_type = Name)]
    title: String,
    /// What it says: clean HTML, to be shown as it is; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, max_length = 4000, pattern = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")]
    body: Option<String>,
    /// Where it belongs.
    #[schema(value_type = Option<Name>)]
    department: Option<String>,
    /// How much harm would come of its being known.
    classification: Classification,
    /// Rises with every change; its entity tag is this number in quotes.
    #[schema(minimum = 1, maximum = 2_147_483_647)]
    version: i32,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
    /// When it was deleted.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = "date-time")]
    deleted_at: Option<OffsetDateTime>,
}

fn show(document: Document) -> DocumentAnswer {
    let Document { id, owner, title, body, department, classification, version, created_at, updated_at, deleted_at, .. } = document;
    let (owner_id, body) = (AccountId(owner), Some(body));
    DocumentAnswer { id, owner_id, title, body, department, classification, version, created_at, updated_at, deleted_at }
}

/// Who asks, as policies see them.
async fn asking<P: Demand>(connection: &mut PgConnection, state: &State, may: &May<P>) -> Result<(Subject, Judge), ApiError> {
    asking_with(connection, state, may, &may.held).await
}

/// The same once a document is locked, which may have been waited for: whoever has lost what let them in meanwhile comes too late.
async fn asking_again<P: Demand>(connection: &mut PgConnection, state: &State, may: &May<P>) -> Result<Judge, ApiError> {
    let held = may.again(connection, state.clock.now()).await?;
    Ok(asking_with(connection, state, may, &held).await?.1)
}

async fn asking_with<P: Demand>(connection: &mut PgConnection, state: &State, may: &May<P>, held: &Held) -> Result<(Subject, Judge), ApiError> {
    let (Principal { account, assurance, transport, .. }, now) = (may.principal, state.clock.now());
    // the account went away between the guard's look-up and this one
    let gone = || ApiError::new(ErrorCode::Unauthenticated);
    let subject = role::subject(connection, account, assurance, held, now).await?.ok_or_else(gone)?;
    let at = |assurance| Circumstances { assurance, at: now, address: from(state, may.caller.client.0) };
    let asker = state.policies.asker(&subject, at(assurance));
    let could_show = assurance < 2 && matches!(transport, Transport::Cookie | Transport::Token);
    let with_second_factor = if could_show {
        let held = role::permissions_of(connection, account, 2, now).await?;
        role::subject(connection, account, 2, &held, now).await?.map(|subject| state.policies.asker(&subject, at(2)))
    } else {
        None
    };
    Ok((subject, Judge { asker, with_second_factor }))
}

/// Where the client is. A proxy that does not say who asked is no place that policies may trust.
fn from(state: &State, address: IpAddr) -> IpAddr {
    let is_proxy = state.settings.trusted_proxies.iter().any(|network| network.contains(&address));
    if is_proxy { Ipv4Addr::UNSPECIFIED.into() } else { address }
}

/// The record of what was done to a document.
fn entry<'m, P>(event: Event, may: &'m May<P>, document: &Document) -> Entry<'m> {
    Entry::new(event, &may.caller.origin, Some(may.principal.account), Some(document.owner))
}

/// A new document.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDocument {
    /// What it is called.
    #[garde(dive)]
    #[schema(value_type = Name)]
    title: Field<Name>,
    /// What it says, in HTML, as in `about` of one's own account.
    #[garde(dive)]
    #[schema(value_type = String, max_length = 8000, pattern = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$", example = "<p>We open at <b>nine</b>.</p>")]
    body: Field<RichText>,
    /// Where it belongs: one's own department, or nowhere.
    #[garde(dive)]
    #[schema(value_type = Option<Name>)]
    department: Option<Field<Name>>,
    /// How much harm would come of its being known.
    #[garde(dive)]
    #[schema(value_type = Classification)]
    classification: Field<Classification>,
}

/// Make a document
#[utoipa::path(post, path = "/v1/documents", tag = "documents", request_body = CreateDocument,
    responses((status = 201, description = "The document", body = DocumentAnswer, headers(("ETag" = EntityTags, description = "Its version"), ("Location" = String, description = "Where it is")))))]
pub async fn create(may: May<DocumentsWrite>, state: Data<State>, body: Valid<Json<CreateDocument>>) -> Result<HttpResponse, ApiError> {
    let (CreateDocument { title, body, department, classification }, now) = (body.0.into_inner(), state.clock.now());
    let department = department.map(|department| department.take("department")).transpose()?;
    let classification = classification.take("classification")?;
    let draft = Draft { title: title.take("title")?, body: body.take("body")?, department, classification };
    let mut transaction = state.pool.begin().await?;
    let document = Document::new(crypto::uuid_v7(now), may.principal.account, &draft, now);
    let there_are = store::lock_and_count(&mut transaction, document.owner).await?;
    asking_again(&mut transaction, &state, &may).await?.check(Action::File, &document)?;
    if there_are >= state.settings.documents.per_owner {
        return Err(ApiError::new(ErrorCode::TooMany));
    }
    store::insert(&mut transaction, &document).await?;
    let entry = entry(Event::DocumentCreated, &may, &document).detail(json!({ "document": document.id, "classification": classification }));
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    let mut answer = HttpResponse::Created();
    answer.insert_header((LOCATION, format!("/v1/documents/{}", document.id)));
    Ok(answer.insert_header((ETAG, entity_tag::of(&document))).json(show(document)))
}

/// Which documents, and how many.
#[derive(Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DocumentsQuery {
    /// Of this owner.
    #[garde(skip)]
    owner: Option<Uuid>,
    /// In this department.
    #[garde(dive)]
    #[param(value_type = Option<Name>)]
    department: Option<Field<Name>>,
    /// Of this classification.
    #[garde(skip)]
    #[param(inline)]
    classification: Option<Classification>,
    /// Those that are deleted and that one may restore, instead.
    #[garde(skip)]
    deleted: Option<bool>,
    /// Items of a page, 1 to 100.
    #[garde(range(min = 1, max = MAX_LIMIT))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// From the page before.
    #[garde(length(bytes, max = 64))]
    #[param(value_type = Option<Cursor>)]
    cursor: Option<String>,
}

/// List documents
///
/// Those that one may read, the newest first. A page can be shorter than asked for, and empty, and still have a next one.
#[utoipa::path(get, path = "/v1/documents", tag = "documents", params(DocumentsQuery),
    responses((status = 200, description = "A page of documents", body = Page<DocumentAnswer>)))]
pub async fn list(may: May<DocumentsRead>, state: Data<State>, query: Valid<Query<DocumentsQuery>>) -> Result<HttpResponse, ApiError> {
    let DocumentsQuery { owner, department, classification, deleted, limit, cursor } = query.0.into_inner();
    let window = Window::read(&state, "documents", may.principal.account, limit, cursor.as_deref())?;
    let department = department.map(|department| department.take("department")).transpose()?;
    let (subject, judge) = asking(&mut *state.pool.acquire().await?, &state, &may).await?;
    let filter = Filter {
        reader: subject.account,
        reader_department: subject.department,
        reader_roles: subject.roles,
        manages: may.held.holds(Permission::DocumentsManage),
        deleted: deleted.unwrap_or_default(),
        owner,
        department: department.map(|department| department.as_str().to_owned()),
        classification,
        before: window.after,
    };
    let (documents, next) = fill(&state, &judge, filter, window.limit()).await?;
    Ok(HttpResponse::Ok().json(window.page_before(documents.into_iter().map(|found| DocumentAnswer { body: None, ..show(found) }).collect(), next)?))
}

/// Looks through candidates until the page is full, there are no more, or enough were looked through. Gives the id behind which the next page
/// begins.
async fn fill(state: &State, judge: &Judge, mut filter: Filter, limit: usize) -> Result<(Vec<Document>, Option<Uuid>), ApiError> {
    let action = if filter.deleted { Action::Restore } else { Action::Read };
    let (mut page, mut considered, size) = (Vec::new(), 0, (limit + 1).clamp(BATCH.0, BATCH.1));
    loop {
        // decisions hold no connection
        let batch = store::candidates(&mut *state.pool.acquire().await?, &filter, size).await?;
        considered += batch.len();
        let (is_last, last) = (batch.len() < size, batch.last().map(Unjudged::id));
        page.extend(judge.select(action, batch));
        if page.len() > limit {
            page.truncate(limit);
            let next = page.last().map(|document| document.id);
            return Ok((page, next));
        }
        if is_last || considered >= MAX_CONSIDERED {
            return Ok((page, last.filter(|_| !is_last)));
        }
        filter.before = last;
    }
}

/// Read a document
#[utoipa::path(get, path = "/v1/documents/{id}", tag = "documents", params(("id" = Uuid, Path, description = "The document")),
    responses((status = 200, description = "The document", body = DocumentAnswer, headers(("ETag" = EntityTags, description = "Its version")))))]
pub async fn read(may: May<DocumentsRead>, state: Data<State>, id: Valid<Path<Uuid>>) -> Result<HttpResponse, ApiError> {
    let mut connection = state.pool.acquire().await?;
    let (_, judge) = asking(&mut connection, &state, &may).await?;
    let document = judge.admit(Action::Read, store::find(&mut connection, id.0.into_inner(), false).await?)?;
    Ok(HttpResponse::Ok().insert_header((ETAG, entity_tag::of(&document))).json(show(document)))
}

/// What is to be changed of a document. What is left out stays.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub struct ChangeDocument {
    /// What it is called.
    #[garde(dive)]
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Name, required = false)]
    title: Option<Field<Name>>,
    /// What it says.
    #[garde(dive)]
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false, max_length = 8000, pattern = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$", example = "<p>We open at <b>ten</b>.</p>")]
    body: Option<Field<RichText>>,
    /// Where it belongs; `null` for nowhere.
    #[garde(dive)]
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Name>, required = false)]
    department: Option<Option<Field<Name>>>,
    /// How much harm would come of its being known.
    #[garde(dive)]
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Classification, required = false)]
    classification: Option<Field<Classification>>,
}

impl ChangeDocument {
    fn take(self) -> Result<Change, ApiError> {
        let Self { title, body, department, classification } = self;
        Ok(Change {
            title: title.map(|title| title.take("title")).transpose()?,
            body: body.map(|body| body.take("body")).transpose()?,
            department: department.map(|department| department.map(|department| department.take("department")).transpose()).transpose()?,
            classification: classification.map(|classification| classification.take("classification")).transpose()?,
        })
    }
}

/// Change a document
///
/// Editors change title and body; department and classification are for its owner and for who answers for its department.
#[utoipa::path(patch, path = "/v1/documents/{id}", tag = "documents", request_body = ChangeDocument,
    params(("id" = Uuid, Path, description = "The document"), ("If-Match" = EntityTags, Header, description = "The version that is changed, as `ETag` said it; required")),
    responses((status = 200, description = "The document", body = DocumentAnswer, headers(("ETag" = EntityTags, description = "Its version")))))]
pub async fn change(
    may: May<DocumentsWrite>,
    state: Data<State>,
    id: Valid<Path<Uuid>>,
    expected: Valid<Header<IfMatch>>,
    body: Valid<Json<ChangeDocument>>,
) -> Result<HttpResponse, ApiError> {
    let change = body.0.into_inner().take()?;
    if change.fields().is_empty() {
        return Err(ApiError::invalid_field("body", "names nothing to change"));
    }
    let mut transaction = state.pool.begin().await?;
    let found = store::lock(&mut transaction, id.0.into_inner(), false).await?;
    let (judge, now) = (asking_again(&mut transaction, &state, &may).await?, state.clock.now());
    let document = judge.admit(if change.edits() { Action::Edit } else { Action::Classify }, found)?;
    // whoever may not change it learns nothing of its version
    entity_tag::ensure(&expected.0.into_inner(), &document)?;
    let changed = document.changed(&change, now);
    if change.classifies() {
        judge.check(Action::Classify, &document)?;
        judge.check(Action::Classify, &changed)?;
    }
    if changed.department != document.department {
        judge.check(Action::File, &changed)?;
    }
    store::update(&mut transaction, &changed).await?;
    let detail = json!({
        "document": changed.id, "fields": change.fields(),
        "classification": changed.classification, "classification_before": document.classification,
        "department": changed.department, "department_before": document.department,
    });
    audit::record(&mut transaction, &state.keyring, now, entry(Event::DocumentChanged, &may, &changed).detail(detail)).await?;
    transaction.commit().await?;
    Ok(HttpResponse::Ok().insert_header((ETAG, entity_tag::of(&changed))).json(show(changed)))
}

/// Delete a document
///
/// It can be restored for a while.
#[utoipa::path(delete, path = "/v1/documents/{id}", tag = "documents", params(("id" = Uuid, Path, description = "The document")),
    responses((status = 204, description = "It is deleted")))]
pub async fn delete(may: May<DocumentsWrite>, state: Data<State>, id: Valid<Path<Uuid>>) -> Result<HttpResponse, ApiError> {
    let mut transaction = state.pool.begin().await?;
    let found = store::lock(&mut transaction, id.0.into_inner(), false).await?;
    let (judge, now) = (asking_again(&mut transaction, &state, &may).await?, state.clock.now());
    let document = judge.admit(Action::Delete, found)?;
    let deleted = Document { deleted_at: Some(now), ..document.changed(&Change::default(), now) };
    store::update(&mut transaction, &deleted).await?;
    let entry = entry(Event::DocumentDeleted, &may, &deleted).detail(json!({ "document": deleted.id }));
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Restore a document
#[utoipa::path(post, path = "/v1/documents/{id}/restore", tag = "documents", params(("id" = Uuid, Path, description = "The document")),
    responses((status = 200, description = "The document", body = DocumentAnswer, headers(("ETag" = EntityTags, description = "Its version")))))]
pub async fn restore(may: May<DocumentsWrite>, state: Data<State>, id: Valid<Path<Uuid>>) -> Result<HttpResponse, ApiError> {
    let mut transaction = state.pool.begin().await?;
    let found = store::lock(&mut transaction, id.0.into_inner(), true).await?;
    let (judge, now) = (asking_again(&mut transaction, &state, &may).await?, state.clock.now());
    let document = judge.admit(Action::Restore, found)?;
    let restored = Document { deleted_at: None, ..document.changed(&Change::default(), now) };
    store::update(&mut transaction, &restored).await?;
    let entry = entry(Event::DocumentRestored, &may, &restored).detail(json!({ "document": restored.id }));
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    Ok(HttpResponse::Ok().insert_header((ETAG, entity_tag::of(&restored))).json(show(restored)))
}
