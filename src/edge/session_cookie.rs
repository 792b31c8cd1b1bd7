//! The session cookie, by actix-session over our own store. The cookie carries a random key, encrypted and signed; the store
//! keeps the key's digest on the session's row, and the row decides whether the session lives.
//!
//! actix-session saves after the handler has committed and renews by delete-then-save. So a handler inserts the row and puts
//! only its id into the state; `save` attaches a key to that row, `delete` takes the key away and ends nothing.
//! Practices 1.session, 2.cookie-flags, 2.encrypted-sessions, 14.rotation, 14.secure-cookie.
//! Attacks: `tests/suite/attacks/s14_sessions/`.

use crate::{
    platform::{
        crypto::{self, SecretToken},
        keyring::Purpose,
    },
    sessions::{self, store},
    state::State,
};
use actix_session::{
    SessionMiddleware,
    config::{BrowserSession, CookieContentSecurity},
    storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError},
};
use actix_web::cookie::{Key, SameSite, time::Duration};
use anyhow::{Context, anyhow};
use std::collections::HashMap;
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

pub(super) fn session_cookie(state: &State) -> SessionMiddleware<PostgresStore> {
    SessionMiddleware::builder(PostgresStore(state.clone()), cookie_key(state))
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
fn cookie_key(state: &State) -> Key {
    let (_, key) = state.keyring.active(Purpose::SessionCookie);
    let halves = [1, 2].map(|half| crypto::mac(key.expose(), &[b"session cookie", half.to_string().as_bytes()]));
    Key::from(Zeroizing::new(halves.concat()).as_slice())
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
