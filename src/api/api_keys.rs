//! One's own API keys. A key is made by who has just shown who they are, for no more than they may do for as long as it lives, and is shown
//! once; its owner is told by letter. It changes no account and no authority, so it makes no other key. What tells of somebody else in the
//! account (a reset, "this was not me", a changed password, an administrator who signs somebody out) ends all keys of it.
//! Practices 9.least-privilege, 9.rotate. Attacks: `tests/suite/attacks/s09_secrets/`,
//! `tests/suite/attacks/s01_authorization/key_scope_escalation.rs`.

use crate::{
    access::{
        Principal, Transport,
        permission::{Held, Permission, Permissions},
        role,
    },
    accounts::Name,
    api::{
        mailed, mfa,
        shapes::{ApiKeyText, NetworkRange},
    },
    audit::{self, Entry, Event, Origin},
    credentials::api_key::{self, ApiKey, LONGEST_OVERLAP, MAX_NETWORKS, Network, Wanted, store},
    edge::{
        guard::{Fresh, SignedIn},
        valid::{Field, Valid},
    },
    error::{ApiError, ErrorCode},
    letters::Letter,
    sessions::disabling::{self, By},
    state::State,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path},
};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use std::collections::BTreeSet;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

/// A key lives this long where nobody says how long, or as long as the settings let it.
const USUAL_LIFE: Duration = Duration::days(90);

/// A replaced key goes on this long where nobody says how long: time to bring the new one everywhere.
const USUAL_OVERLAP: Duration = Duration::DAY;

/// A key, without its secret.
#[derive(Serialize, ToSchema)]
pub struct ApiKeyAnswer {
    /// Its id, which stands in the key, too.
    id: Uuid,
    /// What it is called.
    #[schema(value_type = Name)]
    name: String,
    /// What it was made for; what its account may do at the moment of use bounds it further.
    #[schema(value_type = Vec<Permission>, max_items = 100)]
    scopes: Vec<String>,
    /// From where it may be used; missing: from anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<NetworkRange>>, max_items = 20, nullable = false)]
    networks: Option<Vec<String>>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it ends.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// When it was last used, to the minute or so.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = "date-time")]
    last_used_at: Option<OffsetDateTime>,
    /// The key that takes over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    replaced_by: Option<Uuid>,
}

fn show(listed: store::Listed) -> ApiKeyAnswer {
    let store::Listed { id, name, scopes, networks, created_at, expires_at, last_used_at, replaced_by } = listed;
    ApiKeyAnswer { id, name, scopes, networks, created_at, expires_at, last_used_at, replaced_by }
}

/// Keys that are good.
#[derive(Serialize, ToSchema)]
pub struct ApiKeys {
    /// The newest first.
    #[schema(max_items = 50)]
    items: Vec<ApiKeyAnswer>,
}

/// The live keys of an account.
pub(super) async fn list_of(connection: &mut PgConnection, owner: Uuid, now: OffsetDateTime) -> Result<HttpResponse, ApiError> {
    let keys = store::list_own(connection, owner, None, now).await?;
    Ok(HttpResponse::Ok().json(ApiKeys { items: keys.into_iter().map(show).collect() }))
}

/// A new key.
#[derive(Serialize, ToSchema)]
pub struct NewApiKey {
    /// The key. It is shown this once: what is kept tells nobody what it is.
    #[schema(value_type = ApiKeyText)]
    key: String,
    /// What is known of it.
    api_key: ApiKeyAnswer,
}

/// What a key is for.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateApiKey {
    /// What to call it.
    #[garde(dive)]
    #[schema(value_type = Name)]
    name: Field<Name>,
    /// What it may do: nothing that its maker may not do for as long as it lives.
    #[garde(length(min = 1, max = 100))]
    #[schema(value_type = Vec<Permission>, min_items = 1, max_items = 100)]
    scopes: BTreeSet<String>,
    /// From where it may be used; without them from anywhere.
    #[garde(dive, length(min = 1, max = MAX_NETWORKS))]
    #[schema(value_type = Option<Vec<NetworkRange>>, min_items = 1, max_items = 20)]
    networks: Option<Vec<Field<Network>>>,
    /// How long it lives: 90 days where it is not said. At most as long as this service lets keys live.
    #[garde(range(min = 1, max = 730))]
    #[schema(minimum = 1, maximum = 730, example = 30)]
    expires_in_days: Option<i64>,
}

impl CreateApiKey {
    /// What is wanted, of the permissions that it names.
    pub(super) fn parse(self, state: &State) -> Result<Wanted, ApiError> {
        let Self { name, scopes, networks, expires_in_days } = self;
        let longest = state.settings.terms.api_key;
        let life = expires_in_days.map_or(USUAL_LIFE.min(longest), Duration::days);
        if life > longest {
            return Err(ApiError::invalid_field("expires_in_days", "is longer than this service lets keys live"));
        }
        role::parse_permissions(&scopes).map_err(|_| ApiError::invalid_field("scopes", "names a permission that does not exist"))?;
        let read = |network: Field<Network>| network.take("networks").map(|network| network.to_string());
        let networks = networks.map(|networks| networks.into_iter().map(read).collect::<Result<Vec<_>, _>>()).transpose()?;
        Ok(Wanted {
            name: name.take("name")?.as_str().to_owned(),
            scopes: scopes.into_iter().collect(),
            networks,
            expires_at: state.clock.now() + life,
        })
    }
}

/// How a key is replaced.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateApiKey {
    /// How long the old one goes on beside the new one: a day where it is not said; 0: it ends now.
    #[garde(range(min = 0, max = LONGEST_OVERLAP.whole_hours()))]
    #[schema(minimum = 0, maximum = 168, example = 24)]
    overlap_hours: Option<i64>,
}

impl RotateApiKey {
    pub(super) fn overlap(&self) -> Duration {
        self.overlap_hours.map_or(USUAL_OVERLAP, Duration::hours)
    }
}

/// Whose key, who makes it, and what each of those whom it must not exceed may do.
pub(super) struct Making<'m> {
    pub owner: Uuid,
    pub maker: Uuid,
    pub bounds: &'m [Held],
    pub origin: &'m Origin,
}

impl Making<'_> {
    /// Makes a key, behind the lock of the account or of authority, with its event.
    pub(super) async fn make(&self, connection: &mut PgConnection, state: &State, wanted: &Wanted) -> Result<NewApiKey, ApiError> {
        let made = self.issue(connection, state, wanted).await?;
        let detail = json!({ "api_key": made.api_key.id, "scopes": wanted.scopes });
        self.record(connection, state, Event::ApiKeyCreated, detail).await?;
        Ok(made)
    }

    /// Makes a key that takes over from an old one: of the same name, scopes and networks, for as long as that was made for.
    pub(super) async fn rotate(&self, connection: &mut PgConnection, state: &State, id: Uuid, overlap: Duration) -> Result<NewApiKey, ApiError> {
        let now = state.clock.now();
        let old = store::list_own(connection, self.owner, Some(id), now).await?.pop().filter(|key| key.replaced_by.is_none());
        let old = old.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
        let life = (old.expires_at - old.created_at).min(state.settings.terms.api_key);
        let wanted = Wanted { name: old.name, scopes: old.scopes, networks: old.networks, expires_at: now + life };
        if overlap.is_zero() {
            // makes room, where there are as many as there can be
            store::revoke_own(connection, self.owner, id, now).await?;
        }
        let made = self.issue(connection, state, &wanted).await?;
        api_key::replace(connection, self.owner, (id, made.api_key.id), overlap, now).await?;
        let detail = json!({ "api_key": made.api_key.id, "replaces": id, "overlap_hours": overlap.whole_hours() });
        self.record(connection, state, Event::ApiKeyRotated, detail).await?;
        Ok(made)
    }

    async fn issue(&self, connection: &mut PgConnection, state: &State, wanted: &Wanted) -> Result<NewApiKey, ApiError> {
        let (now, scopes) = (state.clock.now(), wanted.scopes.iter().cloned().collect::<Permissions>());
        // a scope that a newer node knows is beyond what this one can judge
        let is_known = scopes.names().len() == wanted.scopes.len();
        if !is_known || !self.bounds.iter().all(|held| held.outlasts(&scopes, Some(wanted.expires_at))) {
            return Err(ApiError::new(ErrorCode::Forbidden));
        }
        let realm = state.settings.environment.realm();
        let made = api_key::make(connection, &state.keyring, realm, (self.owner, self.maker), wanted, now).await?;
        let key: ApiKey = made.ok_or_else(|| ApiError::new(ErrorCode::TooMany))?;
        let Wanted { name, scopes, networks, expires_at } = wanted.clone();
        let api_key = ApiKeyAnswer { id: key.id(), name, scopes, networks, created_at: now, expires_at, last_used_at: None, replaced_by: None };
        Ok(NewApiKey { key: key.expose().to_owned(), api_key })
    }

    /// Ends a key at once, with its event.
    pub(super) async fn revoke(&self, connection: &mut PgConnection, state: &State, id: Uuid) -> Result<(), ApiError> {
        if !store::revoke_own(connection, self.owner, id, state.clock.now()).await? {
            return Err(ApiError::new(ErrorCode::NotFound));
        }
        let detail = json!({ "api_key": id });
        self.record(connection, state, Event::ApiKeyRevoked, detail).await
    }

    async fn record(&self, connection: &mut PgConnection, state: &State, event: Event, detail: serde_json::Value) -> Result<(), ApiError> {
        let entry = Entry::new(event, self.origin, Some(self.maker), Some(self.owner)).detail(detail);
        Ok(audit::record(connection, &state.keyring, state.clock.now(), entry).await?)
    }
}

/// Ends every key of somebody, with one event where there were any: somebody else may have made one.
pub(super) async fn revoke_all(connection: &mut PgConnection, state: &State, origin: &Origin, (actor, owner): (Uuid, Uuid)) -> Result<(), ApiError> {
    let by = By { origin, actor: Some(actor), webhook: None };
    Ok(disabling::end_keys(connection, &state.keyring, owner, &by, state.clock.now()).await?)
}

/// What a key of one's own may draw on: what counts without a second factor, since a key never shows one.
async fn own_bounds(connection: &mut PgConnection, state: &State, principal: &Principal) -> Result<[Held; 1], ApiError> {
    // nothing that lasts comes of a token that cannot be ended here
    if matches!(principal.transport, Transport::Outside | Transport::Key) {
        return Err(ApiError::new(ErrorCode::Forbidden));
    }
    Ok([role::permissions_of(connection, principal.account, 1, state.clock.now()).await?])
}

/// List one's API keys
///
/// Those that are good, without their secrets.
#[utoipa::path(get, path = "/v1/me/api-keys", tag = "me", responses((status = 200, description = "The keys", body = ApiKeys)))]
pub async fn list_api_keys(signed_in: SignedIn, state: Data<State>) -> Result<HttpResponse, ApiError> {
    list_of(&mut *state.pool.acquire().await?, signed_in.principal.account, state.clock.now()).await
}

/// Make an API key
///
/// For a machine that acts in one's name, within scopes that one holds without a second factor, for as long as the key lives. What is taken
/// from its owner is gone from the key with its next call. The key is shown this once, and a letter tells its owner. Machines that are
/// nobody's in particular have a service account.
#[utoipa::path(post, path = "/v1/me/api-keys", tag = "me", request_body = CreateApiKey,
    responses((status = 201, description = "The key", body = NewApiKey)))]
pub async fn create_api_key(signed_in: Fresh<SignedIn>, state: Data<State>, body: Valid<Json<CreateApiKey>>) -> Result<HttpResponse, ApiError> {
    let Fresh(SignedIn { principal, caller }) = signed_in;
    let (owner, wanted) = (principal.account, body.0.into_inner().parse(&state)?);
    mfa::spend_change(&state, owner).await?;
    let mut transaction = state.pool.begin().await?;
    let email = mfa::lock_own(&mut transaction, &state, &principal).await?;
    let bounds = own_bounds(&mut transaction, &state, &principal).await?;
    let making = Making { owner, maker: owner, bounds: &bounds, origin: &caller.origin };
    let made = making.make(&mut transaction, &state, &wanted).await?;
    mailed::send(&mut transaction, &state, &email, Letter::ApiKeyMade).await?;
    transaction.commit().await?;
    mailed::sent(&state);
    Ok(HttpResponse::Created().json(made))
}

/// Replace an API key
///
/// The new one has the same name, scopes, networks and length of life; the old one goes on for the overlap. A key is replaced once.
#[utoipa::path(post, path = "/v1/me/api-keys/{id}/rotate", tag = "me", request_body = RotateApiKey,
    params(("id" = Uuid, Path, description = "The key")), responses((status = 201, description = "The new key", body = NewApiKey)))]
pub async fn rotate_api_key(
    signed_in: Fresh<SignedIn>,
    state: Data<State>,
    id: Valid<Path<Uuid>>,
    body: Valid<Json<RotateApiKey>>,
) -> Result<HttpResponse, ApiError> {
    let Fresh(SignedIn { principal, caller }) = signed_in;
    let (owner, id) = (principal.account, id.0.into_inner());
    mfa::spend_change(&state, owner).await?;
    let mut transaction = state.pool.begin().await?;
    let email = mfa::lock_own(&mut transaction, &state, &principal).await?;
    let bounds = own_bounds(&mut transaction, &state, &principal).await?;
    let making = Making { owner, maker: owner, bounds: &bounds, origin: &caller.origin };
    let made = making.rotate(&mut transaction, &state, id, body.0.overlap()).await?;
    mailed::send(&mut transaction, &state, &email, Letter::ApiKeyMade).await?;
    transaction.commit().await?;
    mailed::sent(&state);
    Ok(HttpResponse::Created().json(made))
}

/// Revoke an API key
///
/// It is worth nothing from the next call on, on every node.
#[utoipa::path(delete, path = "/v1/me/api-keys/{id}", tag = "me", params(("id" = Uuid, Path, description = "The key")),
    responses((status = 204, description = "It is worth nothing any more")))]
pub async fn revoke_api_key(signed_in: SignedIn, state: Data<State>, id: Valid<Path<Uuid>>) -> Result<HttpResponse, ApiError> {
    let SignedIn { principal, caller } = signed_in;
    let mut transaction = state.pool.begin().await?;
    let making = Making { owner: principal.account, maker: principal.account, bounds: &[], origin: &caller.origin };
    making.revoke(&mut transaction, &state, id.0.into_inner()).await?;
    transaction.commit().await?;
    Ok(HttpResponse::NoContent().finish())
}
