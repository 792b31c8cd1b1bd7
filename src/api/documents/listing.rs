//! Lists of documents: a superset by SQL, decided row by row, refilled to the page's limit within bounds. Practices 10.object-level, 4.dos.
//! Attacks: `tests/suite/attacks/s10_access_control/others_documents.rs`; that a list is exactly what one may read:
//! `tests/suite/journeys/documents.rs`.

use crate::{
    access::{
        permission::{Permission, demand::DocumentsRead},
        policy::Action,
    },
    accounts::Name,
    api::{
        documents::{DocumentAnswer, asking::asking, show},
        shapes::Cursor,
    },
    documents::{
        Classification, Document, Judge, Unjudged,
        store::{self, Filter},
    },
    edge::{
        guard::May,
        page::{MAX_LIMIT, Page, Window},
        valid::{Field, Valid},
    },
    error::ApiError,
    state::State,
};
use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use garde::Validate;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

/// Fewest and most rows that are looked through at once for a list.
const BATCH: (usize, usize) = (20, 100);
/// Rows that are looked through for one page at most, each of which costs a decision on a thread that serves others: a page that is not full by
/// then has a cursor for the next.
const MAX_CONSIDERED: usize = 300;

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
