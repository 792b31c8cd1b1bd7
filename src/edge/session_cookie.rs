//! The session cookie, by actix-session over our own store. The cookie carries a random key, encrypted and signed; the store
//! keeps the key's digest on the session's row, and the row decides whether the session lives.
//!
//! actix-session saves after the handler has committed and renews by delete-then-save. So a handler inserts the row and puts
//! only its id into the state; `save` attaches a key to that row, `delete` takes the key away and ends nothing.
//!
//! actix-session knows one key. It is built anew when another one becomes active, and a cookie that an accepted key of before made is given
//! to it under that one, so that keys rotate under running nodes and nobody signs in again.
//! Practices 1.session, 2.cookie-flags, 2.encrypted-sessions, 14.rotation, 14.secure-cookie.
//! Attacks: `tests/suite/attacks/s14_sessions/`.

use crate::{
    error::ApiError,
    platform::{
        crypto::{self, SecretToken},
        keyring::{KeyBytes, Purpose},
    },
    sessions::{self, store},
    state::State,
};
use actix_session::{
    SessionMiddleware,
    config::{BrowserSession, CookieContentSecurity},
    storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError},
};
use actix_web::{
    Error,
    body::MessageBody,
    cookie::{Cookie, CookieJar, Key, SameSite, time::Duration},
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
    http::header::{self, HeaderValue},
    middleware::Next,
};
use anyhow::{Context, anyhow};
use futures_util::{FutureExt, future::LocalBoxFuture};
use std::{cell::RefCell, collections::HashMap, rc::Rc};
use uuid::Uuid;
use zeroize::Zeroizing;

/// `__Host-` (RFC 6265bis): browsers take it only with Secure, Path=/ and no Domain, so that no subdomain can plant one.
pub const COOKIE: &str = "__Host-portcullis";

/// State entry: which session row the cookie leads to.
pub const SESSION_ID: &str = "sid";
/// State entry: the session's CSRF token.
pub const CSRF: &str = "csrf";
/// State entry that `load` adds and `save` drops: the principal, from the row's typed columns.
pub const PRINCIPAL: &str = "principal";

/// What one server thread needs: the middleware under the key that makes new cookies.
type UnderKey = RefCell<Option<(i32, Rc<SessionMiddleware<PostgresStore>>)>>;

pub(super) fn session_cookie<B: MessageBody + 'static>(
    state: &State,
) -> impl Fn(ServiceRequest, Next<B>) -> LocalBoxFuture<'static, Result<ServiceResponse<B>, Error>> + use<B> {
    let (state, under_key) = (state.clone(), UnderKey::default());
    move |mut request, next| {
        let keys = state.keyring.all_accepted(Purpose::SessionCookie, state.clock.now());
        take_over(&keys, &mut request);
        // where this node knows no key that counts, it makes cookies that nobody takes, it neither
        let making = keys.into_iter().next().unwrap_or_else(|| state.keyring.active(Purpose::SessionCookie));
        let middleware = middleware(&state, &under_key, &making);
        async move {
            let service = middleware.new_transform(next).await.map_err(|()| ApiError::internal(anyhow!("no session middleware")))?;
            service.call(request).await
        }
        .boxed_local()
    }
}

fn middleware(state: &State, under_key: &UnderKey, (version, key): &(i32, KeyBytes)) -> Rc<SessionMiddleware<PostgresStore>> {
    let mut known = under_key.borrow_mut();
    match &*known {
        Some((of, middleware)) if of == version => Rc::clone(middleware),
        _ => Rc::clone(&known.insert((*version, Rc::new(under(state, key)))).1),
    }
}

fn under(state: &State, key: &KeyBytes) -> SessionMiddleware<PostgresStore> {
    SessionMiddleware::builder(PostgresStore(state.clone()), cookie_key(key))
        .cookie_name(COOKIE.to_owned())
        .cookie_secure(true)
        .cookie_http_only(true)
        .cookie_same_site(SameSite::Strict)
        .cookie_path("/".to_owned())
        .cookie_content_security(CookieContentSecurity::Private)
        // ends with the browser; how long it may live is the row's business
        .session_lifecycle(BrowserSession::default())
        .build()
}

/// The cookie library wants 64 bytes (one half signs, one encrypts): expanded from the keyring's 32.
fn cookie_key(key: &KeyBytes) -> Key {
    let halves = [1, 2].map(|half| crypto::mac(key.expose(), &[b"session cookie", half.to_string().as_bytes()]));
    Key::from(Zeroizing::new(halves.concat()).as_slice())
}

/// A cookie that another accepted key made comes under the first one from here on. What no key made stays as it is, for the middleware to
/// refuse.
fn take_over(keys: &[(i32, KeyBytes)], request: &mut ServiceRequest) {
    let Some((sent, others)) = request.headers().get(header::COOKIE).and_then(|value| value.to_str().ok()).and_then(session_cookie_in) else {
        return;
    };
    let mut made_by = keys.iter().enumerate().filter_map(|(at, (_, key))| {
        let mut jar = CookieJar::new();
        jar.add_original(sent.clone());
        Some((at, jar.private(&cookie_key(key)).get(COOKIE)?))
    });
    let Some((_, making)) = keys.first() else {
        request.headers_mut().remove(header::COOKIE);
        return;
    };
    if let Some((1.., plain)) = made_by.next() {
        let mut jar = CookieJar::new();
        jar.private_mut(&cookie_key(making)).add(plain);
        let own = jar.get(COOKIE).map(|cookie| cookie.encoded().stripped().to_string());
        let all: Vec<String> = own.into_iter().chain(others).collect();
        if let Ok(value) = HeaderValue::try_from(all.join("; ")) {
            request.headers_mut().insert(header::COOKIE, value);
        }
    }
}

/// The session cookie, and the others as they came. There is one header by now, with our cookies only.
fn session_cookie_in(header: &str) -> Option<(Cookie<'static>, Vec<String>)> {
    let (own, others): (Vec<&str>, Vec<&str>) = header.split("; ").partition(|pair| pair.split('=').next() == Some(COOKIE));
    let own = Cookie::parse_encoded((*own.first()?).to_owned()).ok()?;
    Some((own, others.into_iter().map(str::to_owned).collect()))
}

type Entries = HashMap<String, String>;

pub(super) struct PostgresStore(State);

impl PostgresStore {
    /// What is sealed is bound to the key that leads to it, so that it opens in no other row.
    fn seal(&self, digest: &[u8], mut entries: Entries) -> anyhow::Result<(i32, Vec<u8>)> {
        entries.remove(PRINCIPAL);
        let plain = Zeroizing::new(serde_json::to_vec(&entries)?);
        Ok(self.0.keyring.seal(Purpose::SessionState, digest, &plain)?)
    }

    async fn entries(&self, key: &SessionKey) -> anyhow::Result<Option<Entries>> {
        let (digest, now) = (digest(key), self.0.clock.now());
        let Some(live) = store::find_live_by_key(&self.0.pool, &digest, now).await? else { return Ok(None) };
        let plain = match self.0.keyring.open_sealed(Purpose::SessionState, live.state_key_version, &digest, &live.state_sealed) {
            Ok(plain) => Zeroizing::new(plain),
            // the state's key was revoked: the session is over
            Err(_) => return Ok(None),
        };
        let mut entries: Entries = serde_json::from_slice(&plain)?;
        entries.insert(PRINCIPAL.into(), serde_json::to_string(&live.principal)?);
        if now - live.last_seen_at >= sessions::SEEN_GRANULARITY {
            self.0.seen.mark(live.principal.session, now);
        }
        Ok(Some(entries))
    }

    async fn attach(&self, entries: Entries) -> anyhow::Result<SessionKey> {
        let session: Uuid = serde_json::from_str(entries.get(SESSION_ID).context("session state without a session row")?)?;
        let key = SecretToken::generate();
        let digest = key.digest();
        let (version, sealed) = self.seal(&digest, entries)?;
        if !store::attach_key(&self.0.pool, session, &digest, &sealed, version, self.0.clock.now()).await? {
            return Err(anyhow!("the session ended before its key was attached"));
        }
        Ok(key.expose().to_owned().try_into()?)
    }

    async fn replace(&self, key: &SessionKey, entries: Entries) -> anyhow::Result<()> {
        let digest = digest(key);
        let (version, sealed) = self.seal(&digest, entries)?;
        if !store::replace_state(&self.0.pool, &digest, &sealed, version).await? {
            return Err(anyhow!("the session ended before its state was saved"));
        }
        Ok(())
    }
}

fn digest(key: &SessionKey) -> [u8; 32] {
    crypto::sha256(key.as_ref().as_bytes())
}

impl SessionStore for PostgresStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<Entries>, LoadError> {
        self.entries(key).await.map_err(LoadError::Other)
    }

    async fn save(&self, entries: Entries, _: &Duration) -> Result<SessionKey, SaveError> {
        self.attach(entries).await.map_err(SaveError::Other)
    }

    async fn update(&self, key: SessionKey, entries: Entries, _: &Duration) -> Result<SessionKey, UpdateError> {
        self.replace(&key, entries).await.map_err(UpdateError::Other)?;
        Ok(key)
    }

    async fn update_ttl(&self, _: &SessionKey, _: &Duration) -> Result<(), anyhow::Error> {
        // the row's idle end moves in `load`
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        Ok(store::detach_key(&self.0.pool, &digest(key)).await?)
    }
}
