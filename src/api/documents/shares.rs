//! Who else may read or edit a document: said by its owner alone, all of it at once, so that nobody wonders what else holds.
//! Practice 10.object-level. Attacks: `tests/suite/attacks/s10_access_control/others_documents.rs`.

use crate::{
    access::{
        permission::demand::{DocumentsRead, DocumentsWrite},
        policy::Action,
        role,
    },
    api::{
        documents::asking::{asking, asking_again, entry},
        roles::RoleName,
    },
    audit::{self, Event},
    documents::{MAX_SHARES, Shares, store},
    edge::{guard::May, valid::Valid},
    error::ApiError,
    state::State,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path},
};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use utoipa::ToSchema;
use uuid::Uuid;

/// Who else may read or edit a document: each account and each role at most once.
#[derive(Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentShares {
    /// Accounts that may read it.
    #[garde(length(max = MAX_SHARES))]
    #[schema(max_items = 50)]
    viewers: BTreeSet<Uuid>,
    /// Accounts that may edit it, too.
    #[garde(length(max = MAX_SHARES))]
    #[schema(max_items = 50)]
    editors: BTreeSet<Uuid>,
    /// Roles that may read it.
    #[garde(length(max = MAX_SHARES), custom(role_names))]
    #[schema(value_type = Vec<RoleName>, max_items = 50)]
    viewer_roles: BTreeSet<String>,
    /// Roles that may edit it, too.
    #[garde(length(max = MAX_SHARES), custom(role_names))]
    #[schema(value_type = Vec<RoleName>, max_items = 50)]
    editor_roles: BTreeSet<String>,
}

fn role_names(names: &BTreeSet<String>, (): &()) -> garde::Result {
    names.iter().try_for_each(|name| role::check_name(name)).map_err(garde::Error::new)
}

fn show(shares: Shares) -> DocumentShares {
    let Shares { viewers, editors, viewer_roles, editor_roles } = shares;
    DocumentShares { viewers, editors, viewer_roles, editor_roles }
}

impl DocumentShares {
    fn take(self) -> Result<Shares, ApiError> {
        let Self { viewers, editors, viewer_roles, editor_roles } = self;
        if !viewers.is_disjoint(&editors) {
            return Err(ApiError::invalid_field("editors", "names an account that is among the viewers"));
        }
        if !viewer_roles.is_disjoint(&editor_roles) {
            return Err(ApiError::invalid_field("editor_roles", "names a role that is among the viewers"));
        }
        Ok(Shares { viewers, editors, viewer_roles, editor_roles })
    }
}

/// Read who else has a document
///
/// For its owner.
#[utoipa::path(get, path = "/v1/documents/{id}/shares", tag = "documents", params(("id" = Uuid, Path, description = "The document")),
    responses((status = 200, description = "Who else has it", body = DocumentShares)))]
pub async fn read_shares(may: May<DocumentsRead>, state: Data<State>, id: Valid<Path<Uuid>>) -> Result<HttpResponse, ApiError> {
    let mut connection = state.pool.acquire().await?;
    let (_, judge) = asking(&mut connection, &state, &may).await?;
    let document = judge.admit(Action::Share, store::find(&mut connection, id.0.into_inner(), false).await?)?;
    Ok(HttpResponse::Ok().json(show(document.shares)))
}

/// Set who else has a document
///
/// To exactly these, at once. Whoever has a role has what it is given, from the moment on that they have it.
#[utoipa::path(put, path = "/v1/documents/{id}/shares", tag = "documents", request_body = DocumentShares,
    params(("id" = Uuid, Path, description = "The document")), responses((status = 200, description = "Who else has it", body = DocumentShares)))]
pub async fn set_shares(
    may: May<DocumentsWrite>,
    state: Data<State>,
    id: Valid<Path<Uuid>>,
    body: Valid<Json<DocumentShares>>,
) -> Result<HttpResponse, ApiError> {
    let shares = body.0.into_inner().take()?;
    let mut transaction = state.pool.begin().await?;
    let found = store::lock(&mut transaction, id.0.into_inner(), false).await?;
    let (judge, now) = (asking_again(&mut transaction, &state, &may).await?, state.clock.now());
    let document = judge.admit(Action::Share, found)?;
    if !store::set_shares(&mut transaction, document.id, &shares).await? {
        return Err(ApiError::invalid_field("body", "names an account or a role that does not exist"));
    }
    let Shares { viewers, editors, viewer_roles, editor_roles } = &shares;
    let detail = json!({
        "document": document.id, "viewers": viewers, "editors": editors, "viewer_roles": viewer_roles, "editor_roles": editor_roles,
    });
    audit::record(&mut transaction, &state.keyring, now, entry(Event::DocumentShared, &may, &document).detail(detail)).await?;
    transaction.commit().await?;
    Ok(HttpResponse::Ok().json(show(shares)))
}
