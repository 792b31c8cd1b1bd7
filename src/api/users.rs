//! People, for administrators. The guard says who may; `access/role.rs` says on whom: nobody acts on somebody who holds more, and
//! an administrator always remains. Practices 1.rbac, 1.object-check, 10.layered.
//! Attacks: `tests/suite/attacks/s01_authorization/`.

use crate::{
    access::{
        permission::demand::{RolesAssign, UsersManage, UsersRead},
        role::{self, Assignment, Holder},
        store::assignments_of,
    },
    accounts::{
        self, AccountId, Email, Name,
        directory::{Filter, Listed, Status, store},
    },
    api::{api_keys::revoke_all, roles::RoleName, shapes::Cursor},
    audit::{self, Entry, Event},
    edge::{
        guard::{Fresh, May},
        page::{MAX_LIMIT, Page, Window},
        valid::{Field, Object, Valid},
    },
    error::{ApiError, ErrorCode},
    sessions::{
        self,
        disabling::{self, By},
    },
    state::State,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path, Query},
};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// An account.
#[derive(Serialize, ToSchema)]
pub struct User {
    /// Its id.
    id: AccountId,
    /// The proven address.
    #[schema(value_type = Email)]
    email: String,
    /// What the owner wants to be called.
    #[schema(value_type = Name)]
    name: String,
    /// Its state.
    status: Status,
    /// Where the owner belongs.
    #[schema(value_type = Option<Name>)]
    department: Option<String>,
    /// The roles that count now.
    #[schema(value_type = Vec<RoleName>, max_items = 100)]
    roles: Vec<String>,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When somebody last signed in.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = "date-time")]
    last_signed_in_at: Option<OffsetDateTime>,
}

fn show(listed: Listed) -> User {
    let Listed { id, email, name, status, department, roles, created_at, last_signed_in_at } = listed;
    User { id, email, name, status, department, roles, created_at, last_signed_in_at }
}

/// Which accounts, and how many.
#[derive(Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsersQuery {
    /// The address begins like this.
    #[garde(length(chars, max = 254), custom(no_control))]
    #[param(max_length = 254, pattern = r"^[^\x00-\x1f\x7f]*$")]
    email: Option<String>,
    /// In this state.
    #[garde(skip)]
    #[param(inline)]
    status: Option<Status>,
    /// In this department.
    #[garde(dive)]
    #[param(value_type = Option<Name>)]
    department: Option<Field<Name>>,
    /// With this role.
    #[garde(custom(a_role_name))]
    #[param(value_type = Option<RoleName>)]
    role: Option<String>,
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
fn no_control(text: &Option<String>, (): &()) -> garde::Result {
    if text.iter().flat_map(|text| text.chars()).any(char::is_control) { Err(garde::Error::new("contains control characters")) } else { Ok(()) }
}

#[expect(clippy::ref_option, reason = "the shape that garde calls")]
fn a_role_name(name: &Option<String>, (): &()) -> garde::Result {
    name.iter().try_for_each(|name| role::check_name(name)).map_err(garde::Error::new)
}

/// List accounts
///
/// The newest first.
#[utoipa::path(get, path = "/v1/users", tag = "users", params(UsersQuery),
    responses((status = 200, description = "A page of accounts", body = Page<User>)))]
pub async fn list(may: May<UsersRead>, state: Data<State>, query: Valid<Query<UsersQuery>>) -> Result<HttpResponse, ApiError> {
    let UsersQuery { email, status, department, role, limit, cursor } = query.0.into_inner();
    let window = Window::read(&state, "users", may.principal.account, limit, cursor.as_deref())?;
    let department = department.map(|department| department.take("department")).transpose()?;
    let filter = Filter {
        email: email.map(|email| email.to_lowercase()),
        status,
        department: department.map(|department| department.as_str().to_owned()),
        role,
        before: window.after,
    };
    let rows = store::list(&mut *state.pool.acquire().await?, &filter, window.rows(), state.clock.now()).await?;
    Ok(HttpResponse::Ok().json(window.page(rows, |row| row.id.0, show)?))
}

/// Read an account
#[utoipa::path(get, path = "/v1/users/{id}", tag = "users", params(("id" = Uuid, Path, description = "The account")),
    responses((status = 200, description = "The account", body = User)))]
pub async fn read(_: May<UsersRead>, state: Data<State>, id: Valid<Path<Uuid>>) -> Result<HttpResponse, ApiError> {
    let found = store::find(&mut *state.pool.acquire().await?, AccountId(id.0.into_inner()), state.clock.now()).await?;
    Ok(HttpResponse::Ok().json(show(found.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?)))
}

/// The state of an account.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetDisabled {
    /// Whether nobody gets in.
    #[garde(skip)]
    pub(super) disabled: bool,
}

/// Disable or enable an account
///
/// Disabling signs the person out everywhere at once, and ends their API keys.
#[utoipa::path(put, path = "/v1/users/{id}/disabled", tag = "users", request_body = SetDisabled,
    params(("id" = Uuid, Path, description = "The account")), responses((status = 200, description = "The account", body = User)))]
pub async fn set_disabled(
    may: Fresh<May<UsersManage>>,
    state: Data<State>,
    id: Valid<Path<Uuid>>,
    body: Valid<Json<SetDisabled>>,
) -> Result<HttpResponse, ApiError> {
    let Fresh(may) = may;
    let (id, disabled, now) = (AccountId(id.0.into_inner()), body.0.disabled, state.clock.now());
    let mut transaction = state.pool.begin().await?;
    role::begin_change(&mut transaction, may.actor(), Some(id.0), now).await?;
    if disabled {
        let by = By { origin: &may.caller.origin, actor: Some(may.principal.account), webhook: None };
        disabling::disable(&mut transaction, (&state.keyring, &state.revocations), id, &by, now).await?;
    } else if store::set_disabled(&mut transaction, id, false, now).await? {
        let entry = Entry::new(Event::AccountEnabled, &may.caller.origin, Some(may.principal.account), Some(id.0));
        audit::record(&mut transaction, &state.keyring, now, entry.detail(json!({ "sessions": 0 }))).await?;
    }
    let found = store::find(&mut transaction, id, now).await?.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
    transaction.commit().await?;
    Ok(HttpResponse::Ok().json(show(found)))
}

/// Where somebody belongs.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetDepartment {
    /// The department; `null` for none.
    #[garde(dive)]
    // with a function of its own a missing field is an error: `{}` must not take a department away
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(value_type = Option<Name>, required)]
    department: Option<Field<Name>>,
}

/// Set an account's department
#[utoipa::path(put, path = "/v1/users/{id}/department", tag = "users", request_body = SetDepartment,
    params(("id" = Uuid, Path, description = "The account")), responses((status = 200, description = "The account", body = User)))]
pub async fn set_department(
    may: Fresh<May<UsersManage>>,
    state: Data<State>,
    id: Valid<Path<Uuid>>,
    body: Valid<Json<SetDepartment>>,
) -> Result<HttpResponse, ApiError> {
    let Fresh(may) = may;
    let (id, now) = (AccountId(id.0.into_inner()), state.clock.now());
    let department = body.0.into_inner().department.map(|department| department.take("department")).transpose()?;
    let mut transaction = state.pool.begin().await?;
    role::begin_change(&mut transaction, may.actor(), Some(id.0), now).await?;
    if !store::set_department(&mut transaction, id, department.as_ref(), now).await? {
        return Err(ApiError::new(ErrorCode::NotFound));
    }
    let entry = Entry::new(Event::DepartmentChanged, &may.caller.origin, Some(may.principal.account), Some(id.0));
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    let found = store::find(&mut transaction, id, now).await?.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
    transaction.commit().await?;
    Ok(HttpResponse::Ok().json(show(found)))
}

/// Sign somebody out everywhere
///
/// Their API keys end, too.
#[utoipa::path(delete, path = "/v1/users/{id}/sessions", tag = "users", params(("id" = Uuid, Path, description = "The account")),
    responses((status = 204, description = "Signed out")))]
pub async fn end_sessions(may: Fresh<May<UsersManage>>, state: Data<State>, id: Valid<Path<Uuid>>) -> Result<HttpResponse, ApiError> {
    let Fresh(may) = may;
    let (id, now) = (AccountId(id.0.into_inner()), state.clock.now());
    let mut transaction = state.pool.begin().await?;
    role::begin_change(&mut transaction, may.actor(), Some(id.0), now).await?;
    if store::find(&mut transaction, id, now).await?.is_none() {
        return Err(ApiError::new(ErrorCode::NotFound));
    }
    // what the person begins at this moment ends, too
    accounts::store::lock(&mut transaction, id).await?;
    let ended = sessions::end_all(&mut transaction, &state.revocations, id.0, now).await?;
    revoke_all(&mut transaction, &state, &may.caller.origin, (may.principal.account, id.0)).await?;
    let entry = Entry::new(Event::SessionsRevoked, &may.caller.origin, Some(may.principal.account), Some(id.0)).detail(json!({ "sessions": ended }));
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A role of somebody.
#[derive(Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserRole {
    /// The role.
    #[garde(custom(|name: &String, (): &()| role::check_name(name).map_err(garde::Error::new)))]
    #[schema(value_type = RoleName)]
    role: String,
    /// It ends at this time; without one it stays.
    #[garde(skip)]
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    expires_at: Option<OffsetDateTime>,
}

/// The roles of somebody.
#[derive(Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserRoles {
    /// Each at most once.
    #[garde(dive, length(max = role::MAX_ROLES))]
    #[schema(value_type = Vec<UserRole>, max_items = 100)]
    pub(super) roles: Vec<Object<UserRole>>,
}

impl UserRoles {
    /// What is wanted, by name.
    pub(super) fn wanted(self, now: OffsetDateTime) -> Result<Vec<Assignment>, ApiError> {
        let assignment = |Object(UserRole { role, expires_at }): Object<UserRole>| Assignment { role, expires_at: expires_at.map(whole_micros) };
        let mut wanted: Vec<Assignment> = self.roles.into_iter().map(assignment).collect();
        wanted.sort_by(|a, b| a.role.cmp(&b.role));
        if wanted.windows(2).any(|pair| pair[0].role == pair[1].role) {
            return Err(ApiError::invalid_field("roles", "names a role twice"));
        }
        if wanted.iter().any(|assignment| assignment.expires_at.is_some_and(|end| end <= now)) {
            return Err(ApiError::invalid_field("roles", "has an end in the past"));
        }
        Ok(wanted)
    }

    pub(super) fn of(assignments: Vec<Assignment>) -> Self {
        Self { roles: assignments.into_iter().map(|Assignment { role, expires_at }| Object(UserRole { role, expires_at })).collect() }
    }
}

/// Read an account's roles
#[utoipa::path(get, path = "/v1/users/{id}/roles", tag = "users", params(("id" = Uuid, Path, description = "The account")),
    responses((status = 200, description = "The roles", body = UserRoles)))]
pub async fn read_roles(_: May<UsersRead>, state: Data<State>, id: Valid<Path<Uuid>>) -> Result<HttpResponse, ApiError> {
    let (id, mut connection) = (id.0.into_inner(), state.pool.acquire().await?);
    if store::find(&mut connection, AccountId(id), state.clock.now()).await?.is_none() {
        return Err(ApiError::new(ErrorCode::NotFound));
    }
    Ok(HttpResponse::Ok().json(UserRoles::of(assignments_of(&mut connection, id, state.clock.now()).await?)))
}

/// Set an account's roles
///
/// To exactly these, at once. Nobody gives or takes a role that allows more than they may do themselves.
#[utoipa::path(put, path = "/v1/users/{id}/roles", tag = "users", request_body = UserRoles,
    params(("id" = Uuid, Path, description = "The account")), responses((status = 200, description = "The roles", body = UserRoles)))]
pub async fn set_roles(
    may: Fresh<May<RolesAssign>>,
    state: Data<State>,
    id: Valid<Path<Uuid>>,
    body: Valid<Json<UserRoles>>,
) -> Result<HttpResponse, ApiError> {
    let Fresh(may) = may;
    let (id, now) = (id.0.into_inner(), state.clock.now());
    let wanted = body.0.into_inner().wanted(now)?;
    let mut transaction = state.pool.begin().await?;
    let before = role::assign(&mut transaction, may.actor(), Holder::Person(id), &wanted, now).await?;
    let entry = Entry::new(Event::RolesChanged, &may.caller.origin, Some(may.principal.account), Some(id))
        .detail(json!({ "before": UserRoles::of(before).roles, "after": UserRoles::of(wanted.clone()).roles }));
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    state.revocations.doubt_authority();
    Ok(HttpResponse::Ok().json(UserRoles::of(wanted)))
}

/// As Postgres stores it, so that a time sent again is the same time.
fn whole_micros(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_nanosecond(time.microsecond() * 1000).unwrap_or(time)
}
