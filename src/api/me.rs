//! One's own account. The row is found by the session's account and by nothing that the caller sends; what may be changed is
//! what the body's type lists (mass assignment). Practices 1.object-check, 15.excessive-data, 3.body,
//! 3.html-sanitize.
//! Attacks: `tests/suite/attacks/s03_validation/mass_assignment.rs`, `tests/suite/attacks/s03_validation/active_content.rs`.

use crate::{
    access::{permission::Permission, role, store::assignments_of},
    accounts::{Account, AccountId, Email, Name, RichText, store},
    api::roles::RoleName,
    audit::{self, Entry, Event},
    edge::{
        guard::SignedIn,
        valid::{Field, Valid, present},
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
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// One's own account.
#[derive(Serialize, ToSchema)]
pub struct Me {
    /// Its id.
    id: AccountId,
    /// The proven address.
    #[schema(value_type = Email)]
    email: String,
    /// What one wants to be called.
    #[schema(value_type = Name)]
    name: String,
    /// What one writes about oneself: clean HTML, to be shown as it is.
    #[schema(max_length = 4000, pattern = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")]
    about: String,
    /// Where one belongs; set by administrators.
    #[schema(value_type = Option<Name>)]
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
    let Account { id, email, name, about, department, created_at, updated_at } = account;
    Ok(HttpResponse::Ok().json(Me { id, email, name, about, department, created_at, updated_at }))
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
    #[schema(value_type = Vec<RoleName>, max_items = 100)]
    roles: Vec<String>,
    /// What they allow, together.
    #[schema(value_type = Vec<Permission>, max_items = 100)]
    permissions: Vec<String>,
}

/// Read one's own roles
///
/// And what they allow at this moment.
#[utoipa::path(get, path = "/v1/me/roles", tag = "me", responses((status = 200, description = "Roles and permissions", body = MyRoles)))]
pub async fn read_roles(signed_in: SignedIn, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let (account, now, mut connection) = (signed_in.principal.account, state.clock.now(), state.pool.acquire().await?);
    let roles = assignments_of(&mut connection, account, now).await?.into_iter().map(|assignment| assignment.role).collect();
    Ok(HttpResponse::Ok()
        .json(MyRoles { roles, permissions: role::permissions_of(&mut connection, account, signed_in.principal.assurance, now).await?.names() }))
}

/// What may be changed of one's own account. What is left out stays.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub struct ChangeMe {
    /// What one wants to be called.
    #[garde(dive)]
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Name, required = false)]
    name: Option<Field<Name>>,
    /// What one writes about oneself, in HTML: `p br b i em strong ul ol li blockquote code`, and `a` with an `https:` or `mailto:` address.
    /// Everything else is taken out without an error, and what is left is stored; the answer shows it. At most 400 tags as sent, 4000 characters as stored.
    #[garde(dive)]
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false, max_length = 8000, pattern = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$", example = "<p>I write programs for <em>engines</em>.</p>")]
    about: Option<Field<RichText>>,
}

/// Change one's own account
#[utoipa::path(patch, path = "/v1/me", tag = "me", request_body = ChangeMe, responses((status = 200, description = "The account", body = Me)))]
pub async fn change(signed_in: SignedIn, state: Data<State>, body: Valid<Json<ChangeMe>>) -> Result<HttpResponse, ApiError> {
    let SignedIn { principal, caller } = signed_in;
    let (ChangeMe { name, about }, now) = (body.0.into_inner(), state.clock.now());
    if name.is_none() && about.is_none() {
        return Err(ApiError::invalid_field("body", "names nothing to change"));
    }
    let name = name.map(|name| name.take("name")).transpose()?;
    let about = about.map(|about| about.take("about")).transpose()?;
    let mut transaction = state.pool.begin().await?;
    let account = store::change_own(&mut transaction, AccountId(principal.account), name.as_ref(), about.as_ref(), now).await?;
    // nothing was changed for nobody
    if account.is_none() {
        return answer(None);
    }
    let fields: Vec<&str> = [name.map(|_| "name"), about.map(|_| "about")].into_iter().flatten().collect();
    let entry = Entry::own(Event::ProfileChanged, &caller.origin, principal.account).detail(json!({ "fields": fields }));
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    answer(account)
}
