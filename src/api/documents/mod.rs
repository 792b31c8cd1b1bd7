//! Documents: the demonstration resource. The guard says who may call, the judge says at which document (practice 10.layered); what may not be
//! read is not there. Changes name the version that they change (RFC 9110 §13.1.1), so that nobody overwrites what they have not seen.
//! Practices 1.object-check, 1.abac, 1.never-trust-client, 3.html-sanitize, 10.object-level.
//! Attacks: `tests/suite/attacks/s10_access_control/others_documents.rs`.

mod asking;
mod entity_tag;
pub mod listing;
pub mod shares;

use crate::{
    access::{
        permission::demand::{DocumentsRead, DocumentsWrite},
        policy::Action,
    },
    accounts::{AccountId, Name, RichText},
    api::shapes::EntityTags,
    audit::{self, Event},
    documents::{Change, Classification, Document, Draft, store},
    edge::{
        guard::May,
        valid::{Field, Valid, present},
    },
    error::{ApiError, ErrorCode},
    platform::crypto,
    state::State,
};
use actix_web::{
    HttpResponse,
    http::header::{ETAG, IfMatch, LOCATION},
    web::{Data, Header, Json, Path},
};
use asking::{asking, asking_again, entry};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

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
