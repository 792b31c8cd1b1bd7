//! Sessions that are carried by tokens: the answer to signing in with them, refreshing, asking whether a token is good, and the public
//! keys for whoever verifies elsewhere.
//! Practices 2.jwt-signing, 2.refresh-cookie, 2.revocation. Attacks: `tests/suite/attacks/s02_credentials/`.

use crate::{
    access::{Principal, permission::Permission, role},
    accounts::{self, AccountId, Email},
    api::{
        mailed,
        shapes::{AccessToken, Assurance, EntityTags, OpaqueToken, PublicKeys, Scope, TokenType},
    },
    audit::{
        self, Entry, Event,
        alerts::signals::{Kind, Signal},
    },
    edge::{
        guard::{Anyone, Caller, WithToken},
        rate_limit::{Count, Quota, spend},
        refresh_cookie,
        valid::Valid,
    },
    error::{ApiError, ErrorCode, StepUp},
    letters::Letter,
    platform::{
        crypto::{self, SecretToken},
        keyring::PUBLISHED_AHEAD,
    },
    sessions::{
        assurance::AAL2_LONGEST,
        refresh::{self, Exchange, Exchanged, Sent},
        token::{self, Subject},
    },
    state::State,
};
use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::header::{CACHE_CONTROL, ETag, EntityTag, IfNoneMatch},
    web::{Data, Header, Json, Query},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Where a client keeps its refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RefreshIn {
    /// In a cookie that no script reads: for pages.
    #[default]
    Cookie,
    /// In the body: for clients with a safe place of their own.
    Body,
}

/// Tokens of a session.
#[derive(Serialize, ToSchema)]
pub struct Tokens {
    /// Who is signed in.
    account_id: AccountId,
    /// Names the session in lists. Not what authenticates it.
    session_id: Uuid,
    /// To be sent as `Authorization: Bearer …`.
    #[schema(value_type = AccessToken)]
    access_token: String,
    /// How it is sent.
    #[schema(value_type = TokenType)]
    token_type: &'static str,
    /// Seconds that the access token is good.
    #[schema(minimum = 0, maximum = 86400, example = 900)]
    expires_in: i64,
    /// For the next access token, once; in a cookie instead where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<OpaqueToken>, nullable = false)]
    refresh_token: Option<String>,
    /// The session ends at this time unless it is refreshed before.
    #[serde(with = "time::serde::rfc3339")]
    idle_expires_at: OffsetDateTime,
    /// The session ends at this time in any case.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// A session to make tokens for.
pub(super) struct Grant {
    pub principal: Principal,
    pub refresh_token: SecretToken,
    /// For the browser that is given the first token in a cookie.
    pub tie: Option<SecretToken>,
    pub idle_expires_at: OffsetDateTime,
    pub absolute_expires_at: OffsetDateTime,
}

/// To be called before the transaction of an [`access_token`], which must not wait for a second connection: this node may not have heard that
/// its key was revoked.
pub(super) async fn know_keys(state: &State) -> Result<(), ApiError> {
    if !state.revocations.is_trusted() {
        state.keyring.reload_unless_recent(&state.pool).await?;
    }
    Ok(())
}

/// Makes an access token and says for how many seconds, in the transaction that the session was started, refreshed or raised in: authority
/// is read there.
pub(super) async fn access_token(
    connection: &mut PgConnection,
    state: &State,
    principal: Principal,
    amr: Vec<String>,
    absolute_expires_at: OffsetDateTime,
) -> Result<(String, i64), ApiError> {
    let now = state.clock.now();
    let authority = role::authority_of(connection, principal.account, principal.assurance, now).await?;
    let (authz_version, held) = authority.ok_or_else(|| ApiError::new(ErrorCode::InvalidRefreshToken))?;
    // the token must not outlive the session, nor a permission that it names, nor the assurance that it tells of
    let level_ends = (principal.assurance == 2).then(|| principal.authenticated_at + AAL2_LONGEST);
    let until = [held.first_end(), level_ends].into_iter().flatten().fold(absolute_expires_at, OffsetDateTime::min);
    let subject = Subject { principal, amr, scope: held.names(), authz_version, until };
    token::issue(&state.keyring, &state.settings.parties, subject, state.settings.sessions.tokens.access, now).map_err(ApiError::internal)
}

/// The body of an answer with tokens; where the refresh token goes into a cookie, that is set.
pub(super) fn give(
    response: &mut HttpResponseBuilder,
    state: &State,
    grant: Grant,
    (access_token, expires_in): (String, i64),
    refresh_in: RefreshIn,
) -> Tokens {
    let refresh_token = match refresh_in {
        RefreshIn::Body => Some(grant.refresh_token.expose().to_owned()),
        RefreshIn::Cookie => {
            let (ends, now) = (grant.absolute_expires_at, state.clock.now());
            response.cookie(refresh_cookie::cookie(&grant.refresh_token, ends, now));
            if let Some(tie) = &grant.tie {
                response.cookie(refresh_cookie::tie(tie, ends, now));
            }
            None
        }
    };
    Tokens {
        account_id: AccountId(grant.principal.account),
        session_id: grant.principal.session,
        access_token,
        token_type: "Bearer",
        expires_in,
        refresh_token,
        idle_expires_at: grant.idle_expires_at,
        expires_at: grant.absolute_expires_at,
    }
}

/// A refresh token, unless it comes by cookie.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The newest one.
    #[garde(length(bytes, max = 64))]
    #[schema(value_type = Option<OpaqueToken>)]
    refresh_token: Option<String>,
}

/// Refresh tokens
///
/// Spends the refresh token for the next one and an access token. It comes in the body, or (with `{}` as the body) in the cookies
/// `__Secure-portcullis-refresh` and `__Host-portcullis-refresh-tie` that signing in has set; the answer brings the next one the same
/// way. Asked again within seconds, as by a second tab, the answer has the same refresh token. Later, a spent token ends the session:
/// somebody else may have it. With an `Authorization` header cookies are not read.
#[utoipa::path(post, path = "/v1/auth/token/refresh", tag = "auth", request_body = Refresh, security((), ("refresh" = [])),
    responses((status = 200, description = "The next tokens", body = Tokens, headers(("Set-Cookie")))))]
pub async fn refresh_tokens(anyone: Anyone, state: Data<State>, body: Valid<Json<Refresh>>) -> Result<HttpResponse, ApiError> {
    let Anyone { caller, .. } = anyone;
    let (token, tie, refresh_in) = match (body.0.into_inner().refresh_token, caller.refresh_cookie.clone()) {
        (Some(token), None) => (token, None, RefreshIn::Body),
        // without its tie somebody else may have set it, out of a body of their own
        (None, Some(token)) if caller.refresh_tie.is_some() => (token, caller.refresh_tie.clone(), RefreshIn::Cookie),
        (None, _) => return Err(ApiError::new(ErrorCode::InvalidRefreshToken)),
        (Some(_), Some(_)) => return Err(ApiError::invalid_field("refresh_token", "is in the body and in a cookie")),
    };
    let from = state.settings.session_address.of(caller.client.0);
    let sent = Sent { token: SecretToken::sent(token), tie: tie.map(SecretToken::sent), from };
    exchange(state, caller, sent, refresh_in).await
}

async fn exchange(state: Data<State>, caller: Caller, sent: Sent, refresh_in: RefreshIn) -> Result<HttpResponse, ApiError> {
    let (now, lifetimes) = (state.clock.now(), state.settings.sessions.tokens);
    spend_refresh(&state, &caller, &sent.token).await?;
    know_keys(&state).await?;
    let mut transaction = state.pool.begin().await?;
    let exchange = refresh::exchange(&mut transaction, &state.keyring, &state.revocations, &sent, lifetimes, now).await?;
    let exchanged = match exchange {
        Exchange::Done(exchanged) => exchanged,
        Exchange::Worthless => return Err(ApiError::new(ErrorCode::InvalidRefreshToken)),
        Exchange::EndedByReplay => return Err(ApiError::new(ErrorCode::RefreshTokenReplayed)),
        Exchange::Replayed { account, session, before_from } => {
            metrics::counter!("portcullis_refresh_replays_total").increment(1);
            let entry = Entry::new(Event::RefreshReplayed, &caller.origin, None, Some(account)).refused();
            let entry = entry.detail(json!({ "session": session })).other_address(before_from);
            audit::record(&mut transaction, &state.keyring, now, entry).await?;
            transaction.commit().await?;
            let network = caller.client.network().to_string();
            let signal = Signal::between(Kind::RefreshReplayed, &state.keyring, &network, &account.to_string());
            state.signals.note(signal.about(Some(account), caller.origin.request), now);
            // only now: whatever becomes of the letter, the session is over
            if let Err(error) = tell_owner_of_replay(&state, account).await {
                tracing::warn!(%error, "the letter about a replayed refresh token was not sent");
            }
            return Err(ApiError::new(ErrorCode::RefreshTokenReplayed));
        }
    };
    let Exchanged { principal, amr, successor, idle_expires_at, absolute_expires_at, repeats } = exchanged;
    if let Some(before_from) = repeats {
        let detail = json!({ "session": principal.session });
        let entry = Entry::own(Event::RefreshRepeated, &caller.origin, principal.account).detail(detail).other_address(before_from);
        audit::record(&mut transaction, &state.keyring, now, entry).await?;
    }
    let access_token = access_token(&mut transaction, &state, principal, amr, absolute_expires_at).await?;
    let granted = Grant { principal, refresh_token: successor, tie: None, idle_expires_at, absolute_expires_at };
    transaction.commit().await?;
    let mut response = HttpResponse::Ok();
    let tokens = give(&mut response, &state, granted, access_token, refresh_in);
    Ok(response.json(tokens))
}

/// A token of a session counts for that session and its owner, from wherever it comes; one that leads nowhere for the network that sends
/// it. So nobody can use up what somebody else's refreshes draw on, not even from the same network.
async fn spend_refresh(state: &State, caller: &Caller, token: &SecretToken) -> Result<(), ApiError> {
    let of = refresh::store::session_of(&mut *state.pool.acquire().await?, &token.digest()).await?;
    let counts = match of {
        Some((account, session)) => vec![
            Count::of(state, Quota::RefreshOfSession, &[&session.to_string()]),
            Count::of(state, Quota::RefreshOfPerson, &[&account.to_string()]),
        ],
        None => vec![Count::of(state, Quota::RefreshFromNetwork, &[&caller.client.network().to_string()])],
    };
    spend(state, &counts).await.map(drop)
}

async fn tell_owner_of_replay(state: &State, account: Uuid) -> Result<(), ApiError> {
    let owner = accounts::store::find_own(&mut *state.pool.acquire().await?, AccountId(account)).await?;
    let Some(email) = owner.and_then(|owner| Email::parse(&owner.email).ok()) else { return Ok(()) };
    if mailed::may_notify(state, &email).await? {
        mailed::send(&mut *state.pool.acquire().await?, state, &email, Letter::RefreshReplayed).await?;
        mailed::sent(state);
    }
    Ok(())
}

/// What a reverse proxy demands.
#[derive(Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VerifyQuery {
    /// A permission that the caller must hold.
    #[garde(custom(a_permission))]
    #[param(value_type = Option<Permission>)]
    permission: Option<String>,
}

/// A mistyped one in a proxy's configuration must not look like a refusal of everybody.
#[expect(clippy::ref_option, reason = "the shape that garde calls")]
fn a_permission(name: &Option<String>, (): &()) -> garde::Result {
    let is_known = name.as_deref().is_none_or(|name| Permission::named(name).is_some());
    if is_known { Ok(()) } else { Err(garde::Error::new("is no permission")) }
}

/// Verify an access token
///
/// For a reverse proxy's sub-request before it lets a call through: the identity is in headers of the answer. Access tokens only: a
/// session cookie is worth nothing without its CSRF check, which a sub-request cannot make.
#[utoipa::path(get, path = "/v1/auth/verify", tag = "auth", params(VerifyQuery),
    responses((status = 200, description = "It is good", headers(
        ("X-Auth-Subject" = Uuid, description = "The account"),
        ("X-Auth-Session" = Uuid, description = "The session"),
        ("X-Auth-Assurance" = inline(Assurance), description = "Authenticator assurance level"),
        ("X-Auth-Scope" = inline(Scope), description = "Permissions, separated by spaces")))))]
pub async fn verify(with: WithToken, state: Data<State>, query: Valid<Query<VerifyQuery>>) -> Result<HttpResponse, ApiError> {
    let WithToken { principal, scope } = with;
    let scope = match scope {
        Some(scope) => scope,
        // roles changed since the token was made: the next one says so itself
        None => role::permissions_of(&mut *state.pool.acquire().await?, principal.account, principal.assurance, state.clock.now())
            .await?
            .names()
            .join(" "),
    };
    if let Some(demanded) = query.0.permission.as_deref().filter(|demanded| !scope.split(' ').any(|held| held == *demanded)) {
        let might = principal.assurance < 2 && {
            let held = role::permissions_of(&mut *state.pool.acquire().await?, principal.account, 2, state.clock.now()).await?;
            Permission::named(demanded).is_some_and(|demanded| held.holds(demanded))
        };
        return Err(if might { ApiError::step_up(StepUp { assurance: 2, max_age: None }) } else { ApiError::new(ErrorCode::Forbidden) });
    }
    Ok(HttpResponse::Ok()
        .insert_header(("X-Auth-Subject", principal.account.to_string()))
        .insert_header(("X-Auth-Session", principal.session.to_string()))
        .insert_header(("X-Auth-Assurance", principal.assurance.to_string()))
        .insert_header(("X-Auth-Scope", scope))
        .finish())
}

/// Read the public keys
///
/// With which access tokens are verified elsewhere (RFC 7517). A key is here before it signs, unless it replaces a revoked one, and for
/// as long as a token of it can be good. Whoever verifies elsewhere does not hear of sessions that end.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "auth",
    params(("If-None-Match" = Option<EntityTags>, Header, description = "The `ETag` of the list that the caller has")),
    responses((status = 200, description = "A JWK set", content_type = "application/jwk-set+json", body = PublicKeys, headers(("ETag"), ("Cache-Control"))),
        (status = 304, description = "As the caller has it", headers(("ETag"), ("Cache-Control")))))]
pub async fn jwks(_: Anyone, state: Data<State>, known: Valid<Header<IfNoneMatch>>) -> Result<HttpResponse, ApiError> {
    let published = state.keyring.published_keys(state.clock.now());
    let body = serde_json::to_string(&json!({ "keys": published.iter().map(|key| key.jwk()).collect::<Vec<_>>() })).map_err(ApiError::internal)?;
    let tag = EntityTag::new_strong(URL_SAFE_NO_PAD.encode(crypto::sha256(body.as_bytes())));
    let is_known = match known.0.into_inner() {
        IfNoneMatch::Any => true,
        IfNoneMatch::Items(tags) => tags.iter().any(|known| known.weak_eq(&tag)),
    };
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header(ETag(tag));
    // whoever keeps the list for this long still knows every key that signs, but for one that replaced a revoked one
    response.insert_header((CACHE_CONTROL, format!("public, max-age={}", PUBLISHED_AHEAD.whole_seconds())));
    Ok(if is_known { response.finish() } else { response.content_type("application/jwk-set+json").body(body) })
}
