//! Inviting people: a letter with a link that makes an account with roles and a department, never above the inviter's own.
//! Attacks: `tests/suite/attacks/s01_authorization/role_escalation.rs`.

use crate::{
    access::{permission::demand::InvitationsManage, role},
    accounts::{
        self, Email, Name,
        invitation::{Invitation, store},
        proof::{Claim, Purpose},
    },
    api::{mailed, roles::RoleName, shapes::InvitationStatus},
    audit::{self, Entry, Event},
    edge::{
        guard::{Fresh, May},
        page::{Page, PageQuery, Window},
        rate_limit::{Count, Quota, spend},
        valid::{Field, Valid},
    },
    error::{ApiError, ErrorCode},
    letters::Letter,
    state::State,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path, Query},
};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// Whom to invite, to what.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// Where the letter goes.
    #[garde(dive)]
    #[schema(value_type = Email)]
    email: Field<Email>,
    /// Roles that wait for the guest.
    #[garde(length(max = role::MAX_ROLES))]
    #[schema(value_type = Vec<RoleName>, max_items = 100)]
    #[serde(default)]
    roles: BTreeSet<String>,
    /// Department that waits for the guest.
    #[garde(dive)]
    #[schema(value_type = Option<Name>)]
    department: Option<Field<Name>>,
}

/// An invitation.
#[derive(Serialize, ToSchema)]
pub struct InvitationAnswer {
    /// Its id.
    id: Uuid,
    /// To which mailbox.
    #[schema(value_type = Email)]
    email: String,
    /// By whom.
    invited_by: Uuid,
    /// Roles that wait.
    #[schema(value_type = Vec<RoleName>, max_items = 100)]
    roles: Vec<String>,
    /// Department that waits.
    #[schema(value_type = Option<Name>)]
    department: Option<String>,
    /// `open`, `used`, `revoked` or `expired`.
    #[schema(value_type = InvitationStatus)]
    status: &'static str,
    /// When it was sent.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it runs out.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

fn show(invitation: Invitation, now: OffsetDateTime) -> InvitationAnswer {
    let Invitation { id, email, invited_by, roles, department, created_at, expires_at, used_at, revoked_at } = invitation;
    let status = match (revoked_at, used_at) {
        (Some(_), _) => "revoked",
        (None, Some(_)) => "used",
        (None, None) if expires_at <= now => "expired",
        (None, None) => "open",
    };
    InvitationAnswer { id, email, invited_by, roles, department, status, created_at, expires_at }
}

/// Invite somebody
///
/// Nobody gives more than they may do themselves, now and when the invitation is accepted. An address that has an account gets a
/// letter that says so instead.
#[utoipa::path(post, path = "/v1/invitations", tag = "invitations", request_body = Invite,
    responses((status = 201, description = "The invitation", body = InvitationAnswer)))]
pub async fn create(may: Fresh<May<InvitationsManage>>, state: Data<State>, body: Valid<Json<Invite>>) -> Result<HttpResponse, ApiError> {
    let Fresh(may) = may;
    let Invite { email, roles, department } = body.0.into_inner();
    let email = email.take("email")?;
    let department = department.map(|department| department.take("department")).transpose()?;
    let (roles, inviter, now): (Vec<String>, _, _) = (roles.into_iter().collect(), may.principal.account, state.clock.now());
    if roles.iter().any(|name| role::check_name(name).is_err()) {
        return Err(ApiError::invalid_field("roles", "names a role that does not exist"));
    }
    spend(&state, &[Count::of(&state, Quota::Invitations, &[&inviter.to_string()])]).await?;
    mailed::spend_mailbox(&state, &email).await?;

    let mut transaction = state.pool.begin().await?;
    role::ensure_may_give(&mut transaction, may.actor(), &roles, now).await?;
    let is_known = accounts::store::is_known(&mut transaction, &email).await?;
    let lifetime = state.settings.terms.invitation;
    let claim = Claim { purpose: Purpose::Invitation, email: &email, account: None, session: None, lifetime };
    let issued =
        mailed::send_proof(&mut transaction, &state, claim, |issued| if is_known { Letter::AlreadyRegistered } else { Letter::Invitation(issued) })
            .await?;
    store::insert(&mut transaction, issued.id, inviter, &roles, department.as_ref()).await?;
    let entry = Entry::new(Event::InvitationSent, &may.caller.origin, Some(inviter), None).detail(json!({ "invitation": issued.id, "roles": roles }));
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    mailed::sent(&state);
    let answer = InvitationAnswer {
        id: issued.id,
        email: email.as_str().to_owned(),
        invited_by: inviter,
        roles,
        department: department.map(|department| department.as_str().to_owned()),
        status: "open",
        created_at: now,
        expires_at: now + lifetime,
    };
    Ok(HttpResponse::Created().json(answer))
}

/// List invitations
///
/// The newest first.
#[utoipa::path(get, path = "/v1/invitations", tag = "invitations", params(PageQuery),
    responses((status = 200, description = "A page of invitations", body = Page<InvitationAnswer>)))]
pub async fn list(may: May<InvitationsManage>, state: Data<State>, query: Valid<Query<PageQuery>>) -> Result<HttpResponse, ApiError> {
    let PageQuery { limit, cursor } = query.0.into_inner();
    let window = Window::read(&state, "invitations", may.principal.account, limit, cursor.as_deref())?;
    let rows = store::list(&mut *state.pool.acquire().await?, window.after, window.rows()).await?;
    let now = state.clock.now();
    Ok(HttpResponse::Ok().json(window.page(rows, |row| row.id, |row| show(row, now))?))
}

/// Take an invitation back
#[utoipa::path(delete, path = "/v1/invitations/{id}", tag = "invitations", params(("id" = Uuid, Path, description = "The invitation")),
    responses((status = 204, description = "Its link is worth nothing any more")))]
pub async fn revoke(may: Fresh<May<InvitationsManage>>, state: Data<State>, id: Valid<Path<Uuid>>) -> Result<HttpResponse, ApiError> {
    let Fresh(may) = may;
    let (id, now) = (id.0.into_inner(), state.clock.now());
    let mut transaction = state.pool.begin().await?;
    let roles = store::revoke(&mut transaction, id, now).await?.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
    // whoever may not give them may not take them back from somebody who may
    role::ensure_may_give(&mut transaction, may.actor(), &roles, now).await?;
    let entry = Entry::new(Event::InvitationRevoked, &may.caller.origin, Some(may.principal.account), None).detail(json!({ "invitation": id }));
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    Ok(HttpResponse::NoContent().finish())
}
