//! Who may call, as handler arguments. A handler's first argument is its guard: the route table does not compile otherwise,
//! and the API document says what the type says (practices 1.route-guard, 1.rbac).
//! Attacks: `tests/suite/contract/`, `tests/suite/attacks/s01_authorization/`.

use crate::{
    access::{
        Principal, Transport,
        permission::{Demand, Held, Permission, Permissions},
        role::{self, Actor},
    },
    audit::Origin,
    credentials::{api_key, second_factor},
    edge::{
        api_key::KeyScopes,
        authenticate::{RefusedToken, TokenScope},
        client_ip::ClientIp,
        known_device, oauth_cookie, refresh_cookie,
        request_log::RequestId,
        valid::header::{MAX_HEADER, single},
    },
    error::{ApiError, ErrorCode, StepUp},
    sessions::{self, device},
    state::State,
};
use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::header,
    middleware::Next,
    web::Data,
};
use sqlx::PgConnection;
use std::{
    future::{Future, Ready, ready},
    marker::PhantomData,
    net::{IpAddr, Ipv6Addr},
    pin::Pin,
};
use time::OffsetDateTime;

/// What a guard demands, for the API document.
pub trait Guard: FromRequest<Error = ApiError> + 'static {
    /// The security schemes in the document, any of which will do; none: open to everybody.
    const SCHEMES: &'static [&'static str];
    /// The permission that the caller must hold.
    const PERMISSION: Option<Permission> = None;
    /// Whether the person must have shown who they are a moment ago.
    const IS_FRESH: bool = false;

    /// Decides before anything of the request is read, so that whoever may not call learns nothing from how a body is refused,
    /// and costs nothing. [`admit`] calls it for every route.
    fn admit(request: &HttpRequest) -> impl Future<Output = Result<(), ApiError>> {
        let _ = request;
        ready(Ok(()))
    }
}

/// The layer that every route has around its handler.
///
/// # Errors
/// The guard's refusal.
pub async fn admit<G: Guard, B: MessageBody + 'static>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, actix_web::Error> {
    G::admit(request.request()).await?;
    next.call(request).await
}

/// Where a call comes from, whoever makes it.
#[derive(Clone)]
pub struct Caller {
    /// The client's address.
    pub client: ClientIp,
    /// The same and more, for the audit log.
    pub origin: Origin,
    /// The known-device cookie as it was sent.
    pub device_cookie: Option<String>,
    /// The refresh token's cookie as it was sent.
    pub refresh_cookie: Option<String>,
    /// What ties it to this browser, as it was sent.
    pub refresh_tie: Option<String>,
    /// What binds a sign-in with another service to this browser, as it was sent.
    pub oauth_cookie: Option<String>,
}

/// Open to everybody.
pub struct Anyone {
    /// Where the call comes from.
    pub caller: Caller,
    /// Who is signed in, if somebody is.
    pub principal: Option<Principal>,
}

/// A person with a live session. No API key is one.
pub struct SignedIn {
    /// Who.
    pub principal: Principal,
    /// Where the call comes from.
    pub caller: Caller,
}

/// A person with a session cookie.
pub struct WithCookie;

/// A person with an access token.
pub struct WithToken {
    /// Who.
    pub principal: Principal,
    /// What they may do by the token's word; `None`: that has changed since it was made.
    pub scope: Option<String>,
}

/// A signed-in person, or an API key, who holds the permission `P` at this moment: it is read anew for each call, so that a role taken away
/// is gone with the next request. A key has it only where it was made for it, too.
pub struct May<P> {
    /// Who.
    pub principal: Principal,
    /// Where the call comes from.
    pub caller: Caller,
    /// All that they may do at this moment with what they came with, for who decides on single objects.
    pub held: Held,
    demand: PhantomData<P>,
}

/// The same for what changes an account or authority, without API keys: the person has shown who they are a moment ago, with a second factor where the
/// account has one (practice 10.step-up, ASVS 5.0 7.5.1).
pub struct Fresh<G>(pub G);

impl Guard for Anyone {
    const SCHEMES: &'static [&'static str] = &[];
}

impl Guard for SignedIn {
    const SCHEMES: &'static [&'static str] = &["session", "bearer"];

    async fn admit(request: &HttpRequest) -> Result<(), ApiError> {
        person_of(request).map(drop)
    }
}

impl Guard for WithCookie {
    const SCHEMES: &'static [&'static str] = &["session"];

    async fn admit(request: &HttpRequest) -> Result<(), ApiError> {
        Self::of(request).map(drop)
    }
}

impl Guard for WithToken {
    const SCHEMES: &'static [&'static str] = &["bearer"];

    async fn admit(request: &HttpRequest) -> Result<(), ApiError> {
        Self::of(request).map(drop)
    }
}

/// Left by the admission of [`May`], and looked for by its extractor: a handler that was reached without it refuses.
struct Admitted<P>(Held, PhantomData<P>);

/// The same of [`Fresh`].
struct Proven<G>(PhantomData<G>);

impl<P: Demand> Guard for May<P> {
    const SCHEMES: &'static [&'static str] = &["session", "bearer", "api_key"];
    const PERMISSION: Option<Permission> = Some(P::PERMISSION);

    async fn admit(request: &HttpRequest) -> Result<(), ApiError> {
        let principal = principal_of(request)?;
        let state = request.app_data::<Data<State>>().ok_or_else(|| ApiError::new(ErrorCode::Internal))?;
        let (mut connection, now) = (state.pool.acquire().await?, state.clock.now());
        let held = role::permissions_of(&mut connection, principal.account, principal.assurance, now).await?;
        let held = match principal.key() {
            Some(_) => held.within(&scopes_of(request)?),
            None => held,
        };
        if !held.holds(P::PERMISSION) {
            // by a role that counts with a second factor only, which no key can show
            let can_show = principal.key().is_none() && principal.assurance < 2;
            let might = can_show && role::permissions_of(&mut connection, principal.account, 2, now).await?.holds(P::PERMISSION);
            return Err(if might { ApiError::step_up(StepUp { assurance: 2, max_age: None }) } else { ApiError::new(ErrorCode::Forbidden) });
        }
        request.extensions_mut().insert(Admitted::<P>(held, PhantomData));
        Ok(())
    }
}

impl<G: Guard> Guard for Fresh<G> {
    const SCHEMES: &'static [&'static str] = SignedIn::SCHEMES;
    const PERMISSION: Option<Permission> = G::PERMISSION;
    const IS_FRESH: bool = true;

    async fn admit(request: &HttpRequest) -> Result<(), ApiError> {
        let principal = person_of(request)?;
        G::admit(request).await?;
        let state = request.app_data::<Data<State>>().ok_or_else(|| ApiError::new(ErrorCode::Internal))?;
        let demanded = demanded_of(state, &principal).await?;
        if principal.assurance < demanded.assurance || demanded.max_age.is_some_and(|age| state.clock.now() - principal.authenticated_at > age) {
            return Err(ApiError::step_up(demanded));
        }
        request.extensions_mut().insert(Proven::<G>(PhantomData));
        Ok(())
    }
}

/// What [`Fresh`] demands of somebody.
///
/// # Errors
/// When the database is away.
pub async fn demanded_of(state: &State, principal: &Principal) -> Result<StepUp, ApiError> {
    let factors = second_factor::store::factors(&mut *state.pool.acquire().await?, principal.account).await?;
    Ok(StepUp { assurance: if factors.is_on() { 2 } else { 1 }, max_age: Some(state.settings.sessions.step_up) })
}

/// Whether the session, or the key, that a call was let in by still lives: time may have passed since.
///
/// # Errors
/// 401 when it does not, or when the database is away.
pub async fn ensure_still_in(connection: &mut PgConnection, principal: &Principal, now: OffsetDateTime) -> Result<(), ApiError> {
    let lives = match principal.transport {
        // there is no session here: the token was good when the call began
        Transport::Outside => true,
        Transport::Key => api_key::store::is_live(connection, principal.session, now).await?,
        Transport::Cookie | Transport::Token => sessions::store::is_live(connection, principal.session, now).await?,
    };
    if lives { Ok(()) } else { Err(ApiError::new(ErrorCode::Unauthenticated)) }
}

impl<P: Demand> May<P> {
    /// Looks at the caller again, behind a lock that may have been waited for. Gives what they hold now of what they held.
    ///
    /// # Errors
    /// What the guard would refuse with now.
    pub async fn again(&self, connection: &mut PgConnection, now: OffsetDateTime) -> Result<Held, ApiError> {
        ensure_still_in(connection, &self.principal, now).await?;
        let held = role::permissions_of(connection, self.principal.account, self.principal.assurance, now).await?;
        let held = held.within(&self.held.permissions());
        if held.holds(P::PERMISSION) { Ok(held) } else { Err(ApiError::new(ErrorCode::Forbidden)) }
    }

    /// Who acts, by virtue of what: to be looked at again behind the lock on authority.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::Person(role::Person { by: Some(P::PERMISSION), ..self.principal.into() })
    }
}

impl SignedIn {
    fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        Ok(Self { principal: person_of(request)?, caller: Caller::of(request) })
    }
}

impl WithCookie {
    fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        let is_cookie = person_of(request)?.transport == Transport::Cookie;
        if is_cookie { Ok(Self) } else { Err(ApiError::new(ErrorCode::Unauthenticated)) }
    }
}

impl WithToken {
    fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        let principal = person_of(request)?;
        let scope = request.extensions().get::<TokenScope>().cloned().ok_or_else(|| ApiError::new(ErrorCode::InvalidToken))?;
        Ok(Self { principal, scope: scope.is_current.then_some(scope.scope) })
    }
}

fn principal_of(request: &HttpRequest) -> Result<Principal, ApiError> {
    let extensions = request.extensions();
    let refused = || extensions.get().map_or_else(|| ApiError::new(ErrorCode::Unauthenticated), |RefusedToken(refused)| refused.clone());
    extensions.get::<Principal>().copied().ok_or_else(refused)
}

/// Somebody who signed in. A key speaks for an account and is nobody.
fn person_of(request: &HttpRequest) -> Result<Principal, ApiError> {
    let principal = principal_of(request)?;
    if principal.key().is_some() { Err(ApiError::new(ErrorCode::Forbidden)) } else { Ok(principal) }
}

/// What the request's key was made for; a key without is a fault of ours, and may nothing.
fn scopes_of(request: &HttpRequest) -> Result<Permissions, ApiError> {
    let extensions = request.extensions();
    extensions.get().map(|KeyScopes(scopes)| scopes.clone()).ok_or_else(|| ApiError::new(ErrorCode::Forbidden))
}

impl Caller {
    fn of(request: &HttpRequest) -> Self {
        // reading a cookie needs the extensions to itself
        let cookie = |name| request.cookie(name).map(|cookie| cookie.value().to_owned());
        let (device_cookie, refresh_cookie) = (cookie(known_device::COOKIE), cookie(refresh_cookie::COOKIE));
        let (refresh_tie, oauth_cookie) = (cookie(refresh_cookie::TIE), cookie(oauth_cookie::COOKIE));
        let extensions = request.extensions();
        let client = extensions.get().copied().unwrap_or(ClientIp(IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
        // no reason to refuse a call: a device that cannot be told is an unknown one
        let user_agent = single(request.headers(), &header::USER_AGENT, MAX_HEADER).ok().flatten().unwrap_or_default();
        let key = extensions.get::<Principal>().and_then(Principal::key);
        let origin =
            Origin { request: extensions.get().map(|RequestId(id)| *id), address: Some(client.0), device: device::coarse_name(user_agent), key };
        Self { client, origin, device_cookie, refresh_cookie, refresh_tie, oauth_cookie }
    }
}

impl FromRequest for Anyone {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self { caller: Caller::of(request), principal: request.extensions().get().copied() }))
    }
}

impl FromRequest for SignedIn {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

impl FromRequest for WithCookie {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

impl FromRequest for WithToken {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

impl<P: Demand> FromRequest for May<P> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let admitted = request.extensions_mut().remove::<Admitted<P>>().ok_or_else(|| ApiError::new(ErrorCode::Forbidden));
        ready(admitted.and_then(|Admitted(held, demand)| {
            let (principal, caller) = (principal_of(request)?, Caller::of(request));
            Ok(Self { principal, caller, held, demand })
        }))
    }
}

impl<G: Guard> FromRequest for Fresh<G> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_admitted = request.extensions().contains::<Proven<G>>();
        let inner = G::from_request(request, payload);
        Box::pin(async move { if is_admitted { inner.await.map(Self) } else { Err(ApiError::new(ErrorCode::Forbidden)) } })
    }
}
