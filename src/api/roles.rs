//! Roles and what they allow. Practices 1.rbac, 10.layered. Attacks: `tests/suite/attacks/s01_authorization/role_escalation.rs`.

use crate::{
    access::{
        permission::{
            Permission,
            demand::{RolesManage, RolesRead},
        },
        role::{self, Role},
        store,
    },
    accounts::Name,
    api::shapes::Description,
    audit::{self, Entry, Event},
    edge::{
        guard::{Fresh, May},
        valid::{Field, Segment, Valid},
    },
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

/// A role's name: lower-case letters, digits and hyphens, beginning with a letter.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 50, pattern = "^[a-z][a-z0-9-]{0,49}$", example = "auditor")]
pub struct RoleName(String);

impl Segment for RoleName {
    fn parse(segment: &str) -> Option<Self> {
        role::check_name(segment).ok().map(|()| Self(segment.to_owned()))
    }
}

/// A role.
#[derive(Serialize, ToSchema)]
pub struct RoleAnswer {
    /// Its name, which identifies it.
    #[schema(value_type = RoleName)]
    name: String,
    /// What it is for.
    #[schema(value_type = Name)]
    description: String,
    /// Whether it is protected.
    built_in: bool,
    /// Whether it counts only for who has shown a second factor.
    requires_second_factor: bool,
    /// What it allows.
    #[schema(value_type = Vec<Permission>, max_items = 100)]
    permissions: Vec<String>,
}

impl From<&Role> for RoleAnswer {
    fn from(role: &Role) -> Self {
        let Role { name, description, built_in, permissions, requires_second_factor } = role.clone();
        Self { name, description, built_in, requires_second_factor, permissions: permissions.names() }
    }
}

/// All roles.
#[derive(Serialize, ToSchema)]
pub struct Roles {
    /// By name. There are at most a hundred.
    #[schema(max_items = 100)]
    items: Vec<RoleAnswer>,
}

/// List roles
#[utoipa::path(get, path = "/v1/roles", tag = "roles", responses((status = 200, description = "All roles", body = Roles)))]
pub async fn list(_: May<RolesRead>, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let roles = store::roles(&mut *state.pool.acquire().await?).await?;
    Ok(HttpResponse::Ok().json(Roles { items: roles.iter().map(RoleAnswer::from).collect() }))
}

/// A permission.
#[derive(Serialize, ToSchema)]
pub struct PermissionAnswer {
    /// Its name.
    #[schema(value_type = Permission)]
    name: String,
    /// What it allows.
    #[schema(value_type = Description)]
    description: String,
}

/// All permissions.
#[derive(Serialize, ToSchema)]
pub struct Permissions {
    /// By name.
    #[schema(max_items = 100)]
    items: Vec<PermissionAnswer>,
}

/// List permissions
///
/// The closed list that roles are made of.
#[utoipa::path(get, path = "/v1/permissions", tag = "roles", responses((status = 200, description = "All permissions", body = Permissions)))]
pub async fn permissions(_: May<RolesRead>, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let permissions = store::permissions(&mut *state.pool.acquire().await?).await?;
    let items = permissions.into_iter().map(|(name, description)| PermissionAnswer { name, description }).collect();
    Ok(HttpResponse::Ok().json(Permissions { items }))
}

/// A new role.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRole {
    /// Lower-case letters, digits and hyphens, beginning with a letter.
    #[garde(custom(|name: &String, (): &()| role::check_name(name).map_err(garde::Error::new)))]
    #[schema(value_type = RoleName)]
    name: String,
    /// What it is for.
    #[garde(dive)]
    #[schema(value_type = Name)]
    description: Field<Name>,
    /// What it allows.
    #[garde(length(max = 100))]
    #[schema(value_type = Vec<Permission>, max_items = 100)]
    permissions: BTreeSet<String>,
}

/// What a role is changed to.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeRole {
    /// What it is for.
    #[garde(dive)]
    #[schema(value_type = Name)]
    description: Field<Name>,
    /// What it allows, all of it.
    #[garde(length(max = 100))]
    #[schema(value_type = Vec<Permission>, max_items = 100)]
    permissions: BTreeSet<String>,
}

fn parse(name: String, description: Field<Name>, permissions: &BTreeSet<String>) -> Result<Role, ApiError> {
    let permissions =
        role::parse_permissions(permissions).map_err(|_| ApiError::invalid_field("permissions", "names a permission that does not exist"))?;
    let description = description.take("description")?.as_str().to_owned();
    Ok(Role { name, description, built_in: false, permissions, requires_second_factor: false })
}

/// Make a role
///
/// Nobody makes one that allows more than they may do themselves.
#[utoipa::path(post, path = "/v1/roles", tag = "roles", request_body = CreateRole,
    responses((status = 201, description = "The role", body = RoleAnswer)))]
pub async fn create(may: Fresh<May<RolesManage>>, state: Data<State>, body: Valid<Json<CreateRole>>) -> Result<HttpResponse, ApiError> {
    let Fresh(may) = may;
    let CreateRole { name, description, permissions } = body.0.into_inner();
    let (role, now) = (parse(name, description, &permissions)?, state.clock.now());
    let mut transaction = state.pool.begin().await?;
    role::create(&mut transaction, may.actor(), &role, now).await?;
    let detail = json!({ "role": role.name, "permissions": role.permissions.names() });
    let entry = Entry::new(Event::RoleCreated, &may.caller.origin, Some(may.principal.account), None).detail(detail);
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    Ok(HttpResponse::Created().json(RoleAnswer::from(&role)))
}

/// Change a role
///
/// Everybody who has it feels it with their next request.
#[utoipa::path(put, path = "/v1/roles/{name}", tag = "roles", request_body = ChangeRole,
    params(("name" = RoleName, Path, description = "The role")), responses((status = 200, description = "The role", body = RoleAnswer)))]
pub async fn change(
    may: Fresh<May<RolesManage>>,
    state: Data<State>,
    name: Valid<Path<RoleName>>,
    body: Valid<Json<ChangeRole>>,
) -> Result<HttpResponse, ApiError> {
    let Fresh(may) = may;
    let ChangeRole { description, permissions } = body.0.into_inner();
    let (mut role, now) = (parse(name.0.into_inner().0, description, &permissions)?, state.clock.now());
    let mut transaction = state.pool.begin().await?;
    let before = role::change(&mut transaction, may.actor(), &role, now).await?;
    let detail = json!({ "role": role.name, "before": before.permissions.names(), "after": role.permissions.names() });
    let entry = Entry::new(Event::RoleChanged, &may.caller.origin, Some(may.principal.account), None).detail(detail);
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    state.revocations.doubt_authority();
    role.requires_second_factor = before.requires_second_factor;
    Ok(HttpResponse::Ok().json(RoleAnswer::from(&role)))
}

/// Whether a role demands more.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequireSecondFactor {
    /// Whether it counts only for who has shown a second factor.
    #[garde(skip)]
    required: bool,
}

/// Require a second factor for a role
///
/// Also for built-in ones. What the role allows then counts only in sessions whose owner has shown a second factor; others are told to show
/// it. Whoever demands it of others has shown it, so that the role does not lock everybody out.
#[utoipa::path(put, path = "/v1/roles/{name}/second-factor", tag = "roles", request_body = RequireSecondFactor,
    params(("name" = RoleName, Path, description = "The role")), responses((status = 200, description = "The role", body = RoleAnswer)))]
pub async fn require_second_factor(
    may: Fresh<May<RolesManage>>,
    state: Data<State>,
    name: Valid<Path<RoleName>>,
    body: Valid<Json<RequireSecondFactor>>,
) -> Result<HttpResponse, ApiError> {
    let (Fresh(may), RoleName(name), is_required, now) = (may, name.0.into_inner(), body.0.required, state.clock.now());
    let mut transaction = state.pool.begin().await?;
    let (role, is_change) = role::require_second_factor(&mut transaction, may.actor(), &name, is_required, now).await?;
    if is_change {
        let detail = json!({ "role": name, "requires_second_factor": is_required });
        let entry = Entry::new(Event::RoleChanged, &may.caller.origin, Some(may.principal.account), None).detail(detail);
        audit::record(&mut transaction, &state.keyring, now, entry).await?;
    }
    transaction.commit().await?;
    state.revocations.doubt_authority();
    Ok(HttpResponse::Ok().json(RoleAnswer::from(&role)))
}

/// Delete a role
///
/// Nobody has it any more.
#[utoipa::path(delete, path = "/v1/roles/{name}", tag = "roles", params(("name" = RoleName, Path, description = "The role")),
    responses((status = 204, description = "It is gone")))]
pub async fn delete(may: Fresh<May<RolesManage>>, state: Data<State>, name: Valid<Path<RoleName>>) -> Result<HttpResponse, ApiError> {
    let Fresh(may) = may;
    let (RoleName(name), now) = (name.0.into_inner(), state.clock.now());
    let mut transaction = state.pool.begin().await?;
    role::delete(&mut transaction, may.actor(), &name, now).await?;
    let entry = Entry::new(Event::RoleDeleted, &may.caller.origin, Some(may.principal.account), None).detail(json!({ "role": name }));
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    state.revocations.doubt_authority();
    Ok(HttpResponse::NoContent().finish())
}
