//! Service accounts and their keys, for administrators. Nobody gives one more than they may do themselves, nor acts on one that may do more,
//! as with people; a person's leaving leaves them as they are. Keys of one draw on no more than both its maker and the account may do.
//! Practices 1.rbac, 9.least-privilege, 10.layered.
//! Attacks: `tests/suite/attacks/s01_authorization/service_account_takeover.rs`.

use crate::{
    access::{
        Transport,
        permission::{Held, demand::ServiceAccountsManage},
        role::{self, Assignment, Holder},
    },
    accounts::{
        AccountId, Name,
        directory::Status,
        service::{ServiceAccount, store},
    },
    api::{
        api_keys::{ApiKeys, CreateApiKey, Making, NewApiKey, RotateApiKey, list_of},
        roles::RoleName,
        users::{SetDisabled, UserRoles},
    },
    audit::{self, Entry, Event},
    edge::{
        guard::{Fresh, May},
        page::{Page, PageQuery, Window},
        valid::{Field, Valid},
    },
    error::{ApiError, ErrorCode},
    platform::crypto,
    state::State,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path, Query},
};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use std::collections::BTreeSet;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A service account.
#[derive(Serialize, ToSchema)]
pub struct ServiceAccountAnswer {
    /// Its id.
    id: AccountId,
    /// What it is called.
    #[schema(value_type = Name)]
    name: String,
    /// Its state.
    status: Status,
    /// Where it belongs.
    #[schema(value_type = Option<Name>)]
    department: Option<String>,
    /// The roles that count now.
    #[schema(value_type = Vec<RoleName>, max_items = 100)]
    roles: Vec<String>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

fn show(account: ServiceAccount) -> ServiceAccountAnswer {
    let ServiceAccount { id, name, status, department, roles, created_at } = account;
    ServiceAccountAnswer { id, name, status, department, roles, created_at }
}

type Manager = May<ServiceAccountsManage>;

/// Waits for its turn to change authority, and looks whether there is this account and whether the manager may act on it: they hold all that
/// it may do, and it is in no department or role that is beyond them. Gives what they hold.
async fn begin(connection: &mut PgConnection, may: &Manager, id: Uuid, now: OffsetDateTime) -> Result<(Held, ServiceAccount), ApiError> {
    let held = role::begin_change(connection, may.actor(), None, now).await?;
    // a person's id finds nothing here, whoever they are
    let found = store::find(connection, AccountId(id), now).await?.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
    role::ensure_covers(connection, &held, id, now).await?;
    role::ensure_may_place(connection, (may.principal.account, &held), found.department.as_deref(), &found.roles, now).await?;
    Ok((held, found))
}

/// List service accounts
///
/// The newest first.
#[utoipa::path(get, path = "/v1/service-accounts", tag = "service-accounts", params(PageQuery),
    responses((status = 200, description = "A page of service accounts", body = Page<ServiceAccountAnswer>)))]
pub async fn list(may: May<ServiceAccountsManage>, state: Data<State>, query: Valid<Query<PageQuery>>) -> Result<HttpResponse, ApiError> {
    let PageQuery { limit, cursor } = query.0.into_inner();
    let window = Window::read(&state, "service accounts", may.principal.account, limit, cursor.as_deref())?;
    let rows = store::list(&mut *state.pool.acquire().await?, window.after, window.rows(), state.clock.now()).await?;
    Ok(HttpResponse::Ok().json(window.page(rows, |row| row.id.0, show)?))
}

/// Read a service account
#[utoipa::path(get, path = "/v1/service-accounts/{id}", tag = "service-accounts", params(("id" = Uuid, Path, description = "The account")),
    responses((status = 200, description = "The account", body = ServiceAccountAnswer)))]
pub async fn read(_: May<ServiceAccountsManage>, state: Data<State>, id: Valid<Path<Uuid>>) -> Result<HttpResponse, ApiError> {
    let found = store::find(&mut *state.pool.acquire().await?, AccountId(id.0.into_inner()), state.clock.now()).await?;
    Ok(HttpResponse::Ok().json(show(found.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?)))
}

/// A new service account.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateServiceAccount {
    /// What to call it.
    #[garde(dive)]
    #[schema(value_type = Name)]
    name: Field<Name>,
    /// Where it belongs.
    #[garde(dive)]
    #[schema(value_type = Option<Name>)]
    department: Option<Field<Name>>,
    /// Its roles.
    #[garde(length(max = role::MAX_ROLES))]
    #[schema(value_type = Vec<RoleName>, max_items = 100)]
    #[serde(default)]
    roles: BTreeSet<String>,
}

/// Make a service account
///
/// Nobody gives it a role that allows more than they may do themselves, nor a department or a role that is not their own unless they may place
/// people (`users:manage`) or give roles (`roles:assign`). A role that counts with a second factor only never counts for it.
#[utoipa::path(post, path = "/v1/service-accounts", tag = "service-accounts", request_body = CreateServiceAccount,
    responses((status = 201, description = "The account", body = ServiceAccountAnswer)))]
pub async fn create(
    may: Fresh<May<ServiceAccountsManage>>,
    state: Data<State>,
    body: Valid<Json<CreateServiceAccount>>,
) -> Result<HttpResponse, ApiError> {
    let (Fresh(may), now) = (may, state.clock.now());
    let CreateServiceAccount { name, department, roles } = body.0.into_inner();
    let (name, id) = (name.take("name")?, AccountId(crypto::uuid_v7(now)));
    let department = department.map(|department| department.take("department")).transpose()?;
    if roles.iter().any(|name| role::check_name(name).is_err()) {
        return Err(ApiError::invalid_field("roles", "names a role that does not exist"));
    }
    let wanted: Vec<Assignment> = roles.into_iter().map(|role| Assignment { role, expires_at: None }).collect();
    let mut transaction = state.pool.begin().await?;
    let held = role::begin_change(&mut transaction, may.actor(), None, now).await?;
    let (maker, roles) = ((may.principal.account, &held), wanted.iter().map(|wanted| wanted.role.clone()).collect::<Vec<_>>());
    role::ensure_may_place(&mut transaction, maker, department.as_ref().map(Name::as_str), &roles, now).await?;
    if !store::insert(&mut transaction, id, &name, department.as_ref(), now).await? {
        return Err(ApiError::new(ErrorCode::TooMany));
    }
    role::assign(&mut transaction, may.actor(), Holder::Service(id.0), &wanted, now).await?;
    let found = store::find(&mut transaction, id, now).await?.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
    let entry = Entry::new(Event::ServiceAccountCreated, &may.caller.origin, Some(may.principal.account), Some(id.0));
    let detail = json!({ "name": name.as_str(), "department": found.department, "roles": found.roles });
    audit::record(&mut transaction, &state.keyring, now, entry.detail(detail)).await?;
    transaction.commit().await?;
    Ok(HttpResponse::Created().json(show(found)))
}

/// Set a service account's roles
///
/// To exactly these, at once. Nobody gives or takes a role that allows more than they may do themselves.
#[utoipa::path(put, path = "/v1/service-accounts/{id}/roles", tag = "service-accounts", request_body = UserRoles,
    params(("id" = Uuid, Path, description = "The account")), responses((status = 200, description = "The roles", body = UserRoles)))]
pub async fn set_roles(
    may: Fresh<May<ServiceAccountsManage>>,
    state: Data<State>,
    id: Valid<Path<Uuid>>,
    body: Valid<Json<UserRoles>>,
) -> Result<HttpResponse, ApiError> {
    let (Fresh(may), id, now) = (may, id.0.into_inner(), state.clock.now());
    let wanted = body.0.into_inner().wanted(now)?;
    let mut transaction = state.pool.begin().await?;
    let (held, account) = begin(&mut transaction, &may, id, now).await?;
    let (manager, roles) = ((may.principal.account, &held), wanted.iter().map(|wanted| wanted.role.clone()).collect::<Vec<_>>());
    role::ensure_may_place(&mut transaction, manager, account.department.as_deref(), &roles, now).await?;
    let before = role::assign(&mut transaction, may.actor(), Holder::Service(id), &wanted, now).await?;
    let entry = Entry::new(Event::RolesChanged, &may.caller.origin, Some(may.principal.account), Some(id))
        .detail(json!({ "before": UserRoles::of(before).roles, "after": UserRoles::of(wanted.clone()).roles }));
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    Ok(HttpResponse::Ok().json(UserRoles::of(wanted)))
}

/// Disable or enable a service account
///
/// While it is disabled its keys are worth nothing.
#[utoipa::path(put, path = "/v1/service-accounts/{id}/disabled", tag = "service-accounts", request_body = SetDisabled,
    params(("id" = Uuid, Path, description = "The account")), responses((status = 200, description = "The account", body = ServiceAccountAnswer)))]
pub async fn set_disabled(
    may: Fresh<May<ServiceAccountsManage>>,
    state: Data<State>,
    id: Valid<Path<Uuid>>,
    body: Valid<Json<SetDisabled>>,
) -> Result<HttpResponse, ApiError> {
    let (Fresh(may), id, disabled, now) = (may, id.0.into_inner(), body.0.disabled, state.clock.now());
    let mut transaction = state.pool.begin().await?;
    begin(&mut transaction, &may, id, now).await?;
    if store::set_disabled(&mut transaction, AccountId(id), disabled, now).await? {
        let event = if disabled { Event::AccountDisabled } else { Event::AccountEnabled };
        let entry = Entry::new(event, &may.caller.origin, Some(may.principal.account), Some(id));
        audit::record(&mut transaction, &state.keyring, now, entry).await?;
    }
    let found = store::find(&mut transaction, AccountId(id), now).await?.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
    transaction.commit().await?;
    Ok(HttpResponse::Ok().json(show(found)))
}

/// Delete a service account
///
/// With its keys, and with what it owns.
#[utoipa::path(delete, path = "/v1/service-accounts/{id}", tag = "service-accounts", params(("id" = Uuid, Path, description = "The account")),
    responses((status = 204, description = "It is gone")))]
pub async fn delete(may: Fresh<May<ServiceAccountsManage>>, state: Data<State>, id: Valid<Path<Uuid>>) -> Result<HttpResponse, ApiError> {
    let (Fresh(may), id, now) = (may, id.0.into_inner(), state.clock.now());
    let mut transaction = state.pool.begin().await?;
    let (_, account) = begin(&mut transaction, &may, id, now).await?;
    store::delete(&mut transaction, account.id).await?;
    let entry = Entry::new(Event::ServiceAccountDeleted, &may.caller.origin, Some(may.principal.account), Some(id));
    audit::record(&mut transaction, &state.keyring, now, entry.detail(json!({ "name": account.name, "roles": account.roles }))).await?;
    transaction.commit().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// List a service account's keys
///
/// Those that are good, without their secrets.
#[utoipa::path(get, path = "/v1/service-accounts/{id}/keys", tag = "service-accounts", params(("id" = Uuid, Path, description = "The account")),
    responses((status = 200, description = "The keys", body = ApiKeys)))]
pub async fn list_keys(_: May<ServiceAccountsManage>, state: Data<State>, id: Valid<Path<Uuid>>) -> Result<HttpResponse, ApiError> {
    let (id, now, mut connection) = (id.0.into_inner(), state.clock.now(), state.pool.acquire().await?);
    store::find(&mut connection, AccountId(id), now).await?.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
    list_of(&mut connection, id, now).await
}

/// Both the manager's and the account's own: a key draws on no more than either may do. The account's as its keys will have it, without a
/// second factor.
async fn bounds(connection: &mut PgConnection, (may, held): (&Manager, Held), id: Uuid, now: OffsetDateTime) -> Result<[Held; 2], ApiError> {
    // nothing that lasts comes of a token that cannot be ended here
    if may.principal.transport == Transport::Outside {
        return Err(ApiError::new(ErrorCode::Forbidden));
    }
    Ok([held, role::permissions_of(connection, id, 1, now).await?])
}

/// Make a key of a service account
///
/// Within scopes that both the account and its manager hold for as long as the key lives. The key is shown this once.
#[utoipa::path(post, path = "/v1/service-accounts/{id}/keys", tag = "service-accounts", request_body = CreateApiKey,
    params(("id" = Uuid, Path, description = "The account")), responses((status = 201, description = "The key", body = NewApiKey)))]
pub async fn create_key(
    may: Fresh<May<ServiceAccountsManage>>,
    state: Data<State>,
    id: Valid<Path<Uuid>>,
    body: Valid<Json<CreateApiKey>>,
) -> Result<HttpResponse, ApiError> {
    let (Fresh(may), owner, now) = (may, id.0.into_inner(), state.clock.now());
    let wanted = body.0.into_inner().parse(&state)?;
    let mut transaction = state.pool.begin().await?;
    let (held, _) = begin(&mut transaction, &may, owner, now).await?;
    let bounds = bounds(&mut transaction, (&may, held), owner, now).await?;
    let making = Making { owner, maker: may.principal.account, bounds: &bounds, origin: &may.caller.origin };
    let made = making.make(&mut transaction, &state, &wanted).await?;
    transaction.commit().await?;
    Ok(HttpResponse::Created().json(made))
}

/// Replace a key of a service account
///
/// The new one has the same name, scopes, networks and length of life; the old one goes on for the overlap. A key is replaced once.
#[utoipa::path(post, path = "/v1/service-accounts/{id}/keys/{key}/rotate", tag = "service-accounts", request_body = RotateApiKey,
    params(("id" = Uuid, Path, description = "The account"), ("key" = Uuid, Path, description = "The key")),
    responses((status = 201, description = "The new key", body = NewApiKey)))]
pub async fn rotate_key(
    may: Fresh<May<ServiceAccountsManage>>,
    state: Data<State>,
    ids: Valid<Path<(Uuid, Uuid)>>,
    body: Valid<Json<RotateApiKey>>,
) -> Result<HttpResponse, ApiError> {
    let (Fresh(may), (owner, key), now) = (may, ids.0.into_inner(), state.clock.now());
    let mut transaction = state.pool.begin().await?;
    let (held, _) = begin(&mut transaction, &may, owner, now).await?;
    let bounds = bounds(&mut transaction, (&may, held), owner, now).await?;
    let making = Making { owner, maker: may.principal.account, bounds: &bounds, origin: &may.caller.origin };
    let made = making.rotate(&mut transaction, &state, key, body.0.overlap()).await?;
    transaction.commit().await?;
    Ok(HttpResponse::Created().json(made))
}

/// Revoke a key of a service account
///
/// It is worth nothing from the next call on, on every node.
#[utoipa::path(delete, path = "/v1/service-accounts/{id}/keys/{key}", tag = "service-accounts",
    params(("id" = Uuid, Path, description = "The account"), ("key" = Uuid, Path, description = "The key")),
    responses((status = 204, description = "It is worth nothing any more")))]
pub async fn revoke_key(
    may: Fresh<May<ServiceAccountsManage>>,
    state: Data<State>,
    ids: Valid<Path<(Uuid, Uuid)>>,
) -> Result<HttpResponse, ApiError> {
    let (Fresh(may), (owner, key), now) = (may, ids.0.into_inner(), state.clock.now());
    let mut transaction = state.pool.begin().await?;
    begin(&mut transaction, &may, owner, now).await?;
    let making = Making { owner, maker: may.principal.account, bounds: &[], origin: &may.caller.origin };
    making.revoke(&mut transaction, &state, key).await?;
    transaction.commit().await?;
    Ok(HttpResponse::NoContent().finish())
}
