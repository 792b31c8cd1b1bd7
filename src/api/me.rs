//! One's own account. The row is found by the session's account and by nothing that the caller sends; what may be changed is
//! what the body's type lists (mass assignment). Practices 1.object-check, 15.excessive-data, 3.body.
//! Attacks: `tests/suite/attacks/s03_validation/mass_assignment.rs`.

use crate::{
    accounts::{Account, AccountId, Name, store},
    edge::{
        guard::SignedIn,
        valid::{Field, Valid},
    },
    error::{ApiError, ErrorCode},
    state::State,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json},
};
use garde::Validate;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// One's own account.
#[derive(Serialize, ToSchema)]
pub struct Me {
    /// Its id.
    id: AccountId,
    /// The proven address.
    email: String,
    /// What one wants to be called.
    name: String,
    /// When the account began.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When something of it last changed.
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

fn answer(account: Option<Account>) -> Result<HttpResponse, ApiError> {
    // the account went away between the session's look-up and this one
    let Account { id, email, name, created_at, updated_at } = account.ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated))?;
    Ok(HttpResponse::Ok().json(Me { id, email, name, created_at, updated_at }))
}

/// Read one's own account
#[utoipa::path(get, path = "/v1/me", tag = "me", responses((status = 200, description = "The account", body = Me)))]
pub async fn read(SignedIn(principal): SignedIn, state: Data<State>) -> Result<HttpResponse, ApiError> {
    answer(store::find_own(&mut *state.pool.acquire().await?, AccountId(principal.account)).await?)
}

/// What may be changed of one's own account.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeMe {
    /// What one wants to be called.
    #[garde(dive)]
    #[schema(value_type = String, min_length = 1, max_length = 100, example = "Ada")]
    name: Field<Name>,
}

/// Change one's own account
#[utoipa::path(patch, path = "/v1/me", tag = "me", request_body = ChangeMe, responses((status = 200, description = "The account", body = Me)))]
pub async fn change(SignedIn(principal): SignedIn, state: Data<State>, body: Valid<Json<ChangeMe>>) -> Result<HttpResponse, ApiError> {
    let name = body.0.into_inner().name.take("name")?;
    let mut connection = state.pool.acquire().await?;
    answer(store::rename_own(&mut connection, AccountId(principal.account), &name, state.clock.now()).await?)
}
