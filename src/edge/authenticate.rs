//! Turns a live session, an access token or an API key into the request's [`Principal`]; nothing else does. `Authorization` or the cookie, never
//! both: with the header present the cookie is not even read, so that no request can mix two identities (practice 13.bearer-exempt).
//!
//! A token costs no query while this node has heard from the feed lately; otherwise the database is asked, and where it does not
//! answer, nobody gets in. A token that is refused is no obstacle to a call that needs none.
//!
//! Of the cookies, only ours go on, by their exact names. The cookie parser behind decodes percent signs in names, and a browser
//! that guards `__Host-…` lets a sibling site set `__Host%2D…`: the victim would work in the attacker's session.
//! Attacks: `tests/suite/attacks/s14_sessions/cookie_tossing.rs`, `tests/suite/attacks/s02_credentials/forged_tokens.rs`.

use crate::{
    access::Principal,
    credentials::api_key::ApiKey,
    edge::{
        api_key,
        client_ip::ClientIp,
        known_device, oauth_cookie, outside_token, refresh_cookie,
        session_cookie::{self, PRINCIPAL},
    },
    error::{ApiError, ErrorCode},
    sessions::{revocation::Standing, store, token},
    state::State,
};
use actix_session::SessionExt;
use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderValue},
    middleware::Next,
    web::Data,
};

pub(super) async fn one_identity<B: MessageBody + 'static>(mut request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let is_authorized_otherwise = request.headers().contains_key(header::AUTHORIZATION);
    // what is the same for everybody asks nobody who they are, and is there when the database is not
    let is_api = request.path().starts_with("/v1/");
    let cookies = request.headers_mut().remove(header::COOKIE);
    if is_api
        && !is_authorized_otherwise
        && let Some(own) = own_cookies(cookies.map(|value| value.as_bytes().to_vec()))?
    {
        request.headers_mut().insert(header::COOKIE, own);
    }
    next.call(request).await
}

/// The cookies that go on.
const OURS: [&str; 5] = [session_cookie::COOKIE, known_device::COOKIE, oauth_cookie::COOKIE, refresh_cookie::COOKIE, refresh_cookie::TIE];

/// Each of our cookies as it was sent; the refresh token's only when it came once.
///
/// # Errors
/// 400 when another one comes twice: whose is which?
fn own_cookies(headers: impl Iterator<Item = Vec<u8>>) -> Result<Option<HeaderValue>, ApiError> {
    let (mut own, mut is_refresh_doubtful): (Vec<(&str, String)>, bool) = (Vec::new(), false);
    for header in headers {
        // ours are ASCII; what else somebody set beside them must not hide them
        let text = String::from_utf8_lossy(&header);
        for (name, value) in text.split(';').filter_map(|pair| pair.trim().split_once('=')) {
            let Some(known) = OURS.into_iter().find(|known| *known == name) else {
                continue;
            };
            match own.iter().find(|(name, _)| *name == known) {
                // a sibling site can set one of these: it must not break calls that have no need of it
                Some((refresh_cookie::COOKIE, _)) => is_refresh_doubtful = true,
                Some(_) => return Err(ApiError::new(ErrorCode::Malformed)),
                None => {}
            }
            own.push((known, value.to_owned()));
        }
    }
    own.retain(|(name, _)| !is_refresh_doubtful || *name != refresh_cookie::COOKIE);
    let own: Vec<String> = own.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    Ok(if own.is_empty() { None } else { HeaderValue::try_from(own.join("; ")).ok() })
}

/// What an access token allows, beside the principal.
#[derive(Clone)]
pub(super) struct TokenScope {
    /// Names of permissions, separated by spaces.
    pub scope: String,
    /// Whether they are still what the account may do.
    pub is_current: bool,
}

/// Why the request's token is worth nothing, for whoever needs one.
pub(super) struct RefusedToken(pub ApiError);

pub(super) async fn authenticate<B: MessageBody + 'static>(
    state: Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let given = request.headers().get_all(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default().to_owned()).collect::<Vec<_>>();
    if given.is_empty() {
        let principal = request.get_session().get::<Principal>(PRINCIPAL).ok().flatten();
        if let Some(principal) = principal {
            speaks_for(&request, principal);
        }
    } else {
        let client = request.extensions().get::<ClientIp>().copied();
        match verify(&state, &given, client).await {
            Ok(Verified::Token(principal, scope)) => {
                speaks_for(&request, principal);
                request.extensions_mut().insert(scope);
            }
            Ok(Verified::Key(principal, scopes)) => {
                speaks_for(&request, principal);
                request.extensions_mut().insert(scopes);
            }
            Err(refused) => _ = request.extensions_mut().insert(RefusedToken(refused)),
        }
    }
    next.call(request).await
}

/// Also for what is logged from here on.
fn speaks_for(request: &ServiceRequest, principal: Principal) {
    let span = tracing::Span::current();
    span.record("user", tracing::field::display(principal.account));
    span.record("session", tracing::field::display(principal.session));
    request.extensions_mut().insert(principal);
}

/// What a bearer showed, and what it allows.
enum Verified {
    Token(Principal, TokenScope),
    Key(Principal, api_key::KeyScopes),
}

/// RFC 6750 §2.1, one header.
async fn verify(state: &State, headers: &[String], client: Option<ClientIp>) -> Result<Verified, ApiError> {
    let refused = || ApiError::new(ErrorCode::InvalidToken);
    let [header] = headers else { return Err(refused()) };
    let (scheme, token) = header.split_once(' ').ok_or_else(refused)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(refused());
    }
    if ApiKey::is_claimed_by(token) {
        let (principal, scopes) = api_key::verify(state, token, client.ok_or_else(refused)?).await?;
        return Ok(Verified::Key(principal, scopes));
    }
    if state.federation.claims_to_be_from(token) {
        // what it may do is looked up: its issuer does not know
        return Ok(Verified::Token(outside_token::verify(state, token).await?, TokenScope { scope: String::new(), is_current: false }));
    }
    let key = token::signed_by(token).ok_or_else(refused)?;
    let now = state.clock.now();
    // a key that another node made a moment ago, or that was revoked while this one heard nothing
    if !state.revocations.is_trusted() || state.keyring.verifying_key(&key, now).is_none() {
        state.keyring.reload_unless_recent(&state.pool).await?;
    }
    let verified = token::verify(&state.keyring, &state.settings.parties, token, now).ok_or_else(refused)?;
    let principal = verified.principal;
    let is_current = match state.revocations.standing(principal.session, principal.account, verified.authz_version) {
        Standing::Good => true,
        Standing::Ended => return Err(refused()),
        Standing::Ask => {
            let version = store::authority_of_live(&state.pool, principal.session, now).await?.ok_or_else(refused)?;
            version == verified.authz_version
        }
    };
    Ok(Verified::Token(principal, TokenScope { scope: verified.scope, is_current }))
}
