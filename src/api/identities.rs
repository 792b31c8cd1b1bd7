//! One's own identities at other services: linking another one, from a session that has just shown who it is, and taking one away, but
//! never the last way in. The owner hears of both by letter.
//! Practice 1.oauth-oidc. Attacks: `tests/suite/attacks/s10_access_control/identity_takeover.rs`.

use crate::{
    access::Transport,
    accounts::AccountId,
    api::{
        mailbox, mailed, mfa,
        oauth::{self, OAuthBegun, ProviderName},
        shapes::{IssuerName, SubjectName},
        sign_in::Carriage,
        tokens::RefreshIn,
    },
    audit::{self, Entry, Event},
    credentials::{
        self,
        challenge::ChallengeError,
        federation::{
            Identified, Provider,
            store::{self, Own},
        },
    },
    edge::{
        guard::{Anyone, Caller, Fresh, SignedIn},
        valid::Valid,
    },
    error::{ApiError, ErrorCode},
    letters::Letter,
    platform::crypto,
    sessions,
    state::State,
};
use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// Most identities of one account.
const MOST: i64 = 20;

/// An identity at another service.
#[derive(Serialize, ToSchema)]
pub struct Identity {
    /// Its id here.
    id: Uuid,
    /// The provider to sign in with it, where there still is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ProviderName>, nullable = false)]
    provider: Option<String>,
    /// Who vouches for it.
    #[schema(value_type = IssuerName)]
    issuer: String,
    /// Who one is there.
    #[schema(value_type = SubjectName)]
    subject: String,
    /// Since when it leads to this account.
    #[serde(with = "time::serde::rfc3339")]
    linked_at: OffsetDateTime,
    /// When somebody last signed in by it.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_used_at: Option<OffsetDateTime>,
}

/// One's identities.
#[derive(Serialize, ToSchema)]
pub struct Identities {
    /// The oldest first.
    #[schema(max_items = 1000)]
    items: Vec<Identity>,
}

fn show(state: &State, own: Own) -> Identity {
    let Own { id, issuer, subject, linked_at, last_used_at } = own;
    Identity { id, provider: state.federation.name_of(&issuer).map(str::to_owned), issuer, subject, linked_at, last_used_at }
}

/// List one's identities at other services
#[utoipa::path(get, path = "/v1/me/identities", tag = "me", responses((status = 200, description = "The identities", body = Identities)))]
pub async fn list(signed_in: SignedIn, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let own = store::list_own(&mut *state.pool.acquire().await?, signed_in.principal.account).await?;
    Ok(HttpResponse::Ok().json(Identities { items: own.into_iter().map(|own| show(&state, own)).collect() }))
}

/// Begin linking an identity
///
/// As signing in with it: the callback answers 201, and the identity leads to this account. An account without a second factor needs its
/// owner's agreement by mail.
#[utoipa::path(post, path = "/v1/me/identities/{provider}/authorize", tag = "me", params(("provider" = ProviderName, Path, description = "The provider")),
    responses((status = 200, description = "Where to send the person", body = OAuthBegun, headers(("Set-Cookie")))))]
pub async fn authorize(signed_in: Fresh<SignedIn>, state: Data<State>, provider: Valid<Path<ProviderName>>) -> Result<HttpResponse, ApiError> {
    let SignedIn { principal, caller } = signed_in.0;
    // nothing of ours would be there to come back to
    if matches!(principal.transport, Transport::Outside | Transport::Key) {
        return Err(ApiError::new(ErrorCode::Forbidden));
    }
    let provider = oauth::known(&state, &provider.0)?;
    mailbox::ensure_agreed(&mut *state.pool.acquire().await?, &state, &principal).await?;
    // no session starts
    let carriage = Carriage { transport: Transport::Cookie, refresh_in: RefreshIn::Cookie };
    oauth::begin(&state, &caller, provider, Some((principal.account, principal.session)), (carriage, false)).await
}

/// Links it, for the session that asked and as long as that lives.
pub(super) async fn link(
    state: &State,
    anyone: &Anyone,
    (account, session): (Uuid, Uuid),
    provider: &Provider,
    identified: &Identified,
) -> Result<HttpResponse, ApiError> {
    let now = state.clock.now();
    let is_another = anyone.principal.is_some_and(|principal| principal.session != session);
    if is_another || !sessions::store::is_live(&state.pool, session, now).await? {
        return Err(ChallengeError::Invalid.into());
    }
    mfa::spend_change(state, account).await?;
    let mut transaction = state.pool.begin().await?;
    let email = mfa::lock_account(&mut transaction, account).await?;
    if store::count_own(&mut transaction, account).await? >= MOST {
        return Err(ApiError::new(ErrorCode::TooMany));
    }
    let id = insert(&mut transaction, state, &anyone.caller, (AccountId(account), provider), identified).await?;
    let id = id.ok_or_else(|| ApiError::new(ErrorCode::AlreadyExists))?;
    mailed::send(&mut transaction, state, &email, Letter::IdentityLinked(provider.name())).await?;
    transaction.commit().await?;
    mailed::sent(state);
    let own = Own { id, issuer: identified.issuer.clone(), subject: identified.subject.clone(), linked_at: now, last_used_at: None };
    Ok(HttpResponse::Created().json(show(state, own)))
}

/// `None`: it belongs to somebody already.
pub(super) async fn insert(
    connection: &mut PgConnection,
    state: &State,
    caller: &Caller,
    (account, provider): (AccountId, &Provider),
    identified: &Identified,
) -> Result<Option<Uuid>, ApiError> {
    let now = state.clock.now();
    let id = crypto::uuid_v7(now);
    if !store::link(connection, id, account.0, &identified.issuer, &identified.subject, now).await? {
        return Ok(None);
    }
    let detail = json!({ "identity": id, "provider": provider.name() });
    audit::record(connection, &state.keyring, now, Entry::own(Event::IdentityLinked, &caller.origin, account.0).detail(detail)).await?;
    Ok(Some(id))
}

/// Unlink an identity
///
/// It does not lead to this account any more. The last way in stays: set a password or make a passkey first. Every other device is
/// signed out, because one of them may have come in by it.
#[utoipa::path(delete, path = "/v1/me/identities/{id}", tag = "me", params(("id" = Uuid, Path, description = "The identity")),
    responses((status = 204, description = "It is unlinked")))]
pub async fn unlink(signed_in: Fresh<SignedIn>, state: Data<State>, id: Valid<Path<Uuid>>) -> Result<HttpResponse, ApiError> {
    let SignedIn { principal, caller } = signed_in.0;
    let (id, now, account) = (id.0.into_inner(), state.clock.now(), principal.account);
    mfa::spend_change(&state, account).await?;
    let mut transaction = state.pool.begin().await?;
    let email = mfa::lock_own(&mut transaction, &state, &principal).await?;
    let issuer = store::unlink_own(&mut transaction, account, id).await?.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
    // rolled back with what was unlinked
    if credentials::store::ways_in(&mut transaction, account).await? == 0 {
        return Err(ApiError::new(ErrorCode::LastWayIn));
    }
    sessions::end_others(&mut transaction, &state.revocations, &principal, now).await?;
    let detail = json!({ "identity": id, "issuer": issuer });
    audit::record(&mut transaction, &state.keyring, now, Entry::own(Event::IdentityUnlinked, &caller.origin, account).detail(detail)).await?;
    let name = state.federation.name_of(&issuer).unwrap_or(&issuer);
    mailed::send(&mut transaction, &state, &email, Letter::IdentityUnlinked(name)).await?;
    transaction.commit().await?;
    mailed::sent(&state);
    Ok(HttpResponse::NoContent().finish())
}
