//! Signing in with others, from both ends: where to send somebody, and what becomes of who came back. What was begun is sealed in a
//! challenge whose token is the `state`; a cookie binds it to the browser, it is spent before the code is exchanged, and a page posts
//! what the provider said, so that no GET and no link signs anybody in.
//! Practice 1.oauth-oidc. Attacks: `tests/suite/attacks/s10_access_control/forged_callback.rs`,
//! `tests/suite/attacks/s10_access_control/unverified_email_linking.rs`.

use crate::{
    access::Transport,
    accounts::{self, Account, Email, directory::Status},
    api::{
        identities::{self, Identity},
        mailed,
        shapes::{AuthorizationCode, AuthorizationUrl, IssuerName, OAuthError, OpaqueToken, ProviderKind},
        sign_in::{self, Basis, Carriage, Evidence, LoginAnswer, SecondFactorAwaited},
        tokens::RefreshIn,
    },
    audit::{self, Entry, Event},
    credentials::{
        challenge::{self, Begin, ChallengeError, Purpose},
        federation::{
            Answered, Attempt, FederationError, Identified, Provider,
            store::{self, Linked},
        },
    },
    edge::{
        guard::{Anyone, Caller},
        known_device, oauth_cookie,
        rate_limit::{Count, Quota, spend},
        valid::{Segment, Valid},
    },
    error::{ApiError, ErrorCode},
    letters::Letter,
    platform::{
        crypto::{self, SecretToken},
        db,
    },
    settings::is_entry_name,
    state::State,
};
use actix_session::Session;
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path},
};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

/// The name of a provider in the settings.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 30, pattern = "^[a-z0-9-]{1,30}$", example = "corp")]
pub struct ProviderName(pub(super) String);

impl Segment for ProviderName {
    fn parse(segment: &str) -> Option<Self> {
        is_entry_name(segment).then(|| Self(segment.to_owned()))
    }
}

/// A provider to sign in with.
#[derive(Serialize, ToSchema)]
pub struct ProviderShown {
    /// Its name, for the other calls.
    #[schema(value_type = ProviderName)]
    name: String,
    /// What it speaks.
    #[schema(value_type = ProviderKind)]
    kind: &'static str,
}

/// Providers to sign in with.
#[derive(Serialize, ToSchema)]
pub struct ProvidersShown {
    /// In the order of the settings.
    #[schema(max_items = 100)]
    items: Vec<ProviderShown>,
}

/// List the providers to sign in with
#[utoipa::path(get, path = "/v1/auth/oauth/providers", tag = "auth", responses((status = 200, description = "The providers", body = ProvidersShown)))]
pub async fn providers(_: Anyone, state: Data<State>) -> HttpResponse {
    let show =
        |provider: &Provider| ProviderShown { name: provider.name().to_owned(), kind: if provider.can_prove_anew() { "oidc" } else { "github" } };
    HttpResponse::Ok().json(ProvidersShown { items: state.federation.providers().map(show).collect() })
}

/// How the session is to be.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginOAuth {
    /// How the session is carried: by a cookie, or by tokens in headers.
    #[garde(skip)]
    #[serde(default = "sign_in::by_cookie")]
    transport: Transport,
    /// Where the client keeps the refresh token, with `transport` `token`; `cookie` otherwise.
    #[garde(skip)]
    refresh_in: Option<RefreshIn>,
    /// Whether the person must prove themselves to the provider anew, however long they have been signed in there.
    #[garde(skip)]
    #[serde(default)]
    fresh: bool,
}

/// Where to send the person.
#[derive(Serialize, ToSchema)]
pub struct OAuthBegun {
    /// The provider's page.
    #[schema(value_type = AuthorizationUrl)]
    authorization_url: String,
    /// Seconds until it is over.
    #[schema(minimum = 0, maximum = 900, example = 600)]
    expires_in: i64,
}

/// What was begun, sealed in its challenge.
#[derive(Serialize, Deserialize)]
pub(super) struct Sent {
    provider: String,
    attempt: Attempt,
    cookie: [u8; 32],
    carriage: Carriage,
}

/// Begin signing in with another service
///
/// Gives the address of the provider's page and sets a cookie that binds the sign-in to this browser. The provider sends the browser
/// back to a page, ours or the front end's, that posts what it was told to the callback.
#[utoipa::path(post, path = "/v1/auth/oauth/{provider}/authorize", tag = "auth", request_body = BeginOAuth,
    params(("provider" = ProviderName, Path, description = "The provider")),
    responses((status = 200, description = "Where to send the person", body = OAuthBegun, headers(("Set-Cookie")))))]
pub async fn authorize(
    anyone: Anyone,
    state: Data<State>,
    provider: Valid<Path<ProviderName>>,
    body: Valid<Json<BeginOAuth>>,
) -> Result<HttpResponse, ApiError> {
    let BeginOAuth { transport, refresh_in, fresh } = body.0.into_inner();
    if transport == Transport::Cookie && refresh_in.is_some() {
        return Err(ApiError::invalid_field("refresh_in", "needs transport token"));
    }
    let provider = known(&state, &provider.0)?;
    if fresh && !provider.can_prove_anew() {
        return Err(ApiError::invalid_field("fresh", "is nothing that this provider can prove"));
    }
    let carriage = Carriage { transport, refresh_in: refresh_in.unwrap_or_default() };
    begin(&state, &anyone.caller, provider, None, (carriage, fresh)).await
}

pub(super) fn known<'s>(state: &'s State, name: &ProviderName) -> Result<&'s Provider, ApiError> {
    state.federation.provider(&name.0).ok_or_else(|| ApiError::new(ErrorCode::NotFound))
}

/// Begins it, for a session's account where an identity is to be linked to that.
pub(super) async fn begin(
    state: &State,
    caller: &Caller,
    provider: &Provider,
    owner: Option<(Uuid, Uuid)>,
    (carriage, fresh): (Carriage, bool),
) -> Result<HttpResponse, ApiError> {
    spend(state, &[Count::of(state, Quota::OAuth, &[&caller.client.network().to_string()])]).await?;
    let (now, lifetime) = (state.clock.now(), state.settings.terms.challenge);
    let (attempt, secret) = (Attempt::new(fresh, now), SecretToken::generate());
    // before a row is written, and without a connection to the database in hand
    let mut url = provider.authorization_url(&attempt, now).await.map_err(|error| unusable(provider, error))?;
    let begin = Begin { purpose: Purpose::OAuth, account: owner.map(|(account, _)| account), session: owner.map(|(_, session)| session), lifetime };
    let sent = Sent { provider: provider.name().to_owned(), attempt, cookie: secret.digest(), carriage };
    let token = challenge::issue(&mut *state.pool.acquire().await?, &state.keyring, now, begin, &sent).await?;
    url.query_pairs_mut().append_pair("state", token.expose());
    let expires_in = lifetime.whole_seconds();
    let cookie = oauth_cookie::cookie(&secret, expires_in);
    Ok(HttpResponse::Ok().cookie(cookie).json(OAuthBegun { authorization_url: url.into(), expires_in }))
}

/// Its documents are of no use, or not to be had.
fn unusable(provider: &Provider, error: FederationError) -> ApiError {
    ApiError::unavailable(anyhow::anyhow!("the provider {}: {error}", provider.name()))
}

/// What the provider sent the browser back with. Give `code`, or `error`.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuthCallback {
    /// As it came.
    #[garde(length(bytes, max = 64))]
    #[schema(value_type = OpaqueToken)]
    state: String,
    /// As it came.
    #[garde(length(bytes, min = 1, max = 4096))]
    #[schema(value_type = Option<AuthorizationCode>)]
    code: Option<String>,
    /// As it came (RFC 9207).
    #[garde(length(bytes, max = 500))]
    #[schema(value_type = Option<IssuerName>)]
    iss: Option<String>,
    /// As it came.
    #[garde(length(bytes, max = 100))]
    #[schema(value_type = Option<OAuthError>)]
    error: Option<String>,
}

/// Finish signing in with another service
///
/// Spends what was begun, exchanges the code and signs the person in: to the account that the identity is linked to, to one with the same
/// address where both sides have verified that, or to a new one. Or links the identity to the account that asked for it. Only the
/// browser that began it can finish it.
#[utoipa::path(post, path = "/v1/auth/oauth/{provider}/callback", tag = "auth", request_body = OAuthCallback,
    params(("provider" = ProviderName, Path, description = "The provider")),
    responses((status = 200, description = "Signed in", body = LoginAnswer, headers(("Set-Cookie"))),
        (status = 201, description = "The identity is linked", body = Identity, headers(("Set-Cookie"))),
        (status = 202, description = "The identity is right; the second factor is awaited", body = SecondFactorAwaited, headers(("Set-Cookie")))))]
pub async fn callback(
    anyone: Anyone,
    state: Data<State>,
    session: Session,
    provider: Valid<Path<ProviderName>>,
    body: Valid<Json<OAuthCallback>>,
) -> Result<HttpResponse, ApiError> {
    let provider = known(&state, &provider.0)?;
    let OAuthCallback { state: token, code, iss, error } = body.0.into_inner();
    if code.is_some() == error.is_some() {
        return Err(ApiError::invalid_field("code", "is needed, or else error"));
    }
    let (owner, sent) = take(&state, &anyone, provider, SecretToken::sent(token)).await?;
    let identified = match code {
        Some(code) => provider.identify(&sent.attempt, &Answered { code: code.into(), issuer: iss }, state.clock.now()).await,
        None => Err(refusal(error.as_deref())),
    };
    let identified = match identified {
        Ok(identified) => identified,
        Err(FederationError::Refused(reason)) => return refuse(&state, &anyone.caller, provider, reason, ErrorCode::IdentityRefused).await,
        Err(error) => return Err(unusable(provider, error)),
    };
    let mut answer = match owner {
        Some(owner) => identities::link(&state, &anyone, owner, provider, &identified).await?,
        None => match account_of(&state, &anyone.caller, provider, &identified).await? {
            Some(linked) => sign_in(&state, &anyone, &session, (linked, sent.carriage), &identified).await?,
            None => return refuse(&state, &anyone.caller, provider, "unknown", ErrorCode::IdentityUnknown).await,
        },
    };
    answer.add_cookie(&oauth_cookie::removal()).map_err(ApiError::internal)?;
    Ok(answer)
}

/// What this browser began with this provider; from now on nobody finishes it once more.
async fn take(state: &State, anyone: &Anyone, provider: &Provider, token: SecretToken) -> Result<(Option<(Uuid, Uuid)>, Sent), ApiError> {
    let now = state.clock.now();
    let mut connection = state.pool.acquire().await?;
    let begun = challenge::find(&mut connection, &state.keyring, now, Purpose::OAuth, &token).await?;
    let sent: Sent = begun.state()?;
    let secret = SecretToken::sent(anyone.caller.oauth_cookie.clone().unwrap_or_default());
    if sent.provider != provider.name() || !crypto::equal(&sent.cookie, &secret.digest()) {
        return Err(ChallengeError::Invalid.into());
    }
    challenge::spend(&mut connection, begun.id, now).await?;
    Ok((begun.account.zip(begun.session), sent))
}

/// Of what the provider says only whose fault it is.
fn refusal(error: Option<&str>) -> FederationError {
    match error {
        Some("server_error" | "temporarily_unavailable") => FederationError::Away(anyhow::anyhow!("it says that it is away")),
        Some("access_denied") => FederationError::Refused("access_denied"),
        _ => FederationError::Refused("error"),
    }
}

async fn refuse(state: &State, caller: &Caller, provider: &Provider, reason: &'static str, code: ErrorCode) -> Result<HttpResponse, ApiError> {
    metrics::counter!("portcullis_logins_total", "outcome" => "refused").increment(1);
    let detail = json!({ "method": "identity", "provider": provider.name(), "reason": reason });
    let entry = Entry::new(Event::SignInRefused, &caller.origin, None, None).refused().detail(detail);
    audit::record(&mut *state.pool.acquire().await?, &state.keyring, state.clock.now(), entry).await?;
    Err(ApiError::new(code))
}

async fn sign_in(
    state: &State,
    anyone: &Anyone,
    session: &Session,
    (linked, carriage): (Linked, Carriage),
    identified: &Identified,
) -> Result<HttpResponse, ApiError> {
    let email = mailed::stored(&linked.email)?;
    let device =
        known_device::read(state, anyone.caller.device_cookie.as_deref(), &email).filter(|device| device.since >= linked.devices_known_since);
    let at = identified.proven_at.unwrap_or_else(|| state.clock.now());
    let evidence = Evidence { account: linked.account, email, basis: Basis::Identity { id: linked.id, at }, carriage, device };
    sign_in::proceed(state, anyone, session, evidence).await
}

/// The account that an identity leads to, from now on if it did not yet. `None`: none, or none that it is safe to say so of.
async fn account_of(state: &State, caller: &Caller, provider: &Provider, identified: &Identified) -> Result<Option<Linked>, ApiError> {
    let Identified { issuer, subject, email, .. } = identified;
    let found = store::find_active(&mut *state.pool.acquire().await?, issuer, subject).await?;
    let (None, Some(email)) = (&found, email) else { return Ok(found) };
    adopt(state, caller, provider, identified, email).await?;
    // also where another call was faster
    Ok(store::find_active(&mut *state.pool.acquire().await?, issuer, subject).await?)
}

/// Links an identity to the account with the same address, which both sides have verified, or to a new one.
async fn adopt(state: &State, caller: &Caller, provider: &Provider, identified: &Identified, email: &Email) -> Result<(), ApiError> {
    let now = state.clock.now();
    let known = accounts::store::find_by_email(&mut *state.pool.acquire().await?, email).await?;
    let is_told = known.is_some() && mailed::may_notify(state, email).await?;
    let mut transaction = state.pool.begin().await?;
    let account = match known {
        Some((account, Status::Active)) => account,
        None if state.settings.open_registration => {
            let name = identified.name_for(email).ok_or_else(|| ApiError::internal(anyhow::anyhow!("no name for a new account")))?;
            let account = Account::new(email, &name, now);
            match accounts::store::insert(&mut transaction, &account).await {
                Err(error) if db::violates(&error, "users_email_unique") => return Ok(()),
                done => done?,
            }
            accounts::proof::store::end_registrations(&mut transaction, email, now).await?;
            let created = Entry::own(Event::AccountCreated, &caller.origin, account.id.0).email(email.as_str());
            audit::record(&mut transaction, &state.keyring, now, created).await?;
            account.id
        }
        _ => return Ok(()),
    };
    if identities::insert(&mut transaction, state, caller, (account, provider), identified).await?.is_none() {
        return Ok(());
    }
    if is_told {
        mailed::send(&mut transaction, state, email, Letter::IdentityLinked(provider.name())).await?;
    }
    transaction.commit().await?;
    mailed::sent(state);
    Ok(())
}
