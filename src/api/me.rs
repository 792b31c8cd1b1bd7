//! One's own account. The row is found by the session's account and by nothing that the caller sends; what may be changed is
//! what the body's type lists (mass assignment). Practices 1.object-check, 15.excessive-data, 3.body.
//! Attacks: `tests/suite/attacks/s03_validation/mass_assignment.rs`.

use crate::{
    access::{role, store::assignments_of},
    accounts::{Account, AccountId, Name, store},
    audit::{self, Entry, Event},
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
    /// Where one belongs; set by administrators.
    department: Option<String>,
    /// When the account began.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When something of it last changed.
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

fn answer(account: Option<Account>) -> Result<HttpResponse, ApiError> {
    // the account went away between the session's look-up and this one
    let account = account.ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated))?;
    let Account { id, email, name, department, created_at, updated_at } = account;
    Ok(HttpResponse::Ok().json(Me { id, email, name, department, created_at, updated_at }))
}

/// Read one's own account
#[utoipa::path(get, path = "/v1/me", tag = "me", responses((status = 200, description = "The account", body = Me)))]
pub async fn read(signed_in: SignedIn, state: Data<State>) -> Result<HttpResponse, ApiError> {
    answer(store::find_own(&mut *state.pool.acquire().await?, AccountId(signed_in.principal.account)).await?)
}

/// What one may do beyond one's own account.
#[derive(Serialize, ToSchema)]
pub struct MyRoles {
    /// One's roles.
    roles: Vec<String>,
    /// What they allow, together.
    permissions: Vec<String>,
}

/// Read one's own roles
///
/// And what they allow at this moment.
#[utoipa::path(get, path = "/v1/me/roles", tag = "me", responses((status = 200, description = "Roles and permissions", body = MyRoles)))]
pub async fn read_roles(signed_in: SignedIn, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let (account, now, mut connection) = (signed_in.principal.account, state.clock.now(), state.pool.acquire().await?);
    let roles = assignments_of(&mut connection, account, now).await?.into_iter().map(|assignment| assignment.role).collect();
    Ok(HttpResponse::Ok().json(MyRoles { roles, permissions: role::permissions_of(&mut connection, account, now).await?.names() }))
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
pub async fn change(signed_in: SignedIn, state: Data<State>, body: Valid<Json<ChangeMe>>) -> Result<HttpResponse, ApiError> {
    let SignedIn { principal, caller } = signed_in;
    let (name, now) = (body.0.into_inner().name.take("name")?, state.clock.now());
    let mut transaction = state.pool.begin().await?;
    let account = store::rename_own(&mut transaction, AccountId(principal.account), &name, now).await?;
    // nothing was changed for nobody
    if account.is_none() {
        return answer(None);
    }
    audit::record(&mut transaction, &state.keyring, now, Entry::own(Event::ProfileChanged, &caller.origin, principal.account)).await?;
    transaction.commit().await?;
    answer(account)
}
