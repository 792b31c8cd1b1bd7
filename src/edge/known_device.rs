//! The known-device cookie: a browser that signed in before can show so, without being signed in. It gives its owner a login
//! quota of their own, so that an attack on the account does not lock them out, and spares them the new-device letter. It opens
//! nothing by itself.
//!
//! Stateless: for each account a random device id and the time, tagged for its address with a key of the keyring. A reset or a disowned session
//! makes all older ones worthless (`users.devices_known_since`).
//! Practice 4.brute-force. Attacks: `tests/suite/attacks/s04_rate_limits/lock_out_weapon.rs`.

use crate::{
    accounts::Email,
    platform::{crypto, keyring::Purpose},
    state::State,
};
use actix_web::cookie::{Cookie, SameSite};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

/// The cookie's name; see `session_cookie` for the prefix.
pub const COOKIE: &str = "__Host-portcullis-device";

/// A device that signed in to this address before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownDevice {
    /// The device's own id, of no meaning elsewhere.
    pub id: Uuid,
    /// When it was last recognised.
    pub since: OffsetDateTime,
}

/// How many accounts of one browser it remembers.
const MAX_ENTRIES: usize = 4;
/// Longest entry: id, microseconds, key version and tag.
const MAX_ENTRY_LEN: usize = 32 + 1 + 20 + 1 + 11 + 1 + 43;

/// Reads the cookie. `None`: nothing for this address in it, altered, or older than the setting allows.
#[must_use]
pub fn read(state: &State, cookie: Option<&str>, email: &Email) -> Option<KnownDevice> {
    cookie?.split('~').take(MAX_ENTRIES).find_map(|entry| read_entry(state, entry, email))
}

fn read_entry(state: &State, entry: &str, email: &Email) -> Option<KnownDevice> {
    let mut parts = entry.splitn(4, '.');
    let id = Uuid::try_parse(parts.next()?).ok()?;
    let micros: i64 = parts.next()?.parse().ok()?;
    let version: i32 = parts.next()?.parse().ok()?;
    let tag = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
    let key = state.keyring.accepted(Purpose::KnownDevice, version, state.clock.now())?;
    let since = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).ok()?;
    let is_fresh = state.clock.now() < since.checked_add(state.settings.known_device)?;
    (crypto::equal(&expected_tag(key.expose(), id, micros, email), &tag) && is_fresh).then_some(KnownDevice { id, since })
}

/// A fresh cookie for a device that has just proven itself, under the id that it was `known` by if it keeps that. What the old one says of
/// other accounts stays, the newest first.
#[must_use]
pub fn cookie(state: &State, before: Option<&str>, known: Option<KnownDevice>, email: &Email) -> Cookie<'static> {
    let id = known.map_or_else(|| crypto::uuid_v7(state.clock.now()), |device| device.id);
    let (version, key) = state.keyring.active(Purpose::KnownDevice);
    let micros = i64::try_from(state.clock.now().unix_timestamp_nanos() / 1000).unwrap_or_default();
    let tag = URL_SAFE_NO_PAD.encode(expected_tag(key.expose(), id, micros, email));
    let entry = format!("{}.{micros}.{version}.{tag}", id.simple());
    let is_entry = |text: &&str| text.len() <= MAX_ENTRY_LEN && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    let others = before.unwrap_or_default().split('~').filter(|text| !text.is_empty()).filter(is_entry);
    let others = others.filter(|text| read_entry(state, text, email).is_none());
    let value: Vec<&str> = std::iter::once(entry.as_str()).chain(others).take(MAX_ENTRIES).collect();
    Cookie::build(COOKIE, value.join("~"))
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Strict)
        .max_age(actix_web::cookie::time::Duration::seconds(state.settings.known_device.whole_seconds()))
        .finish()
}

fn expected_tag(key: &[u8; 32], id: Uuid, micros: i64, email: &Email) -> [u8; 32] {
    crypto::mac(key, &[b"known device", id.as_bytes(), &micros.to_be_bytes(), email.as_str().as_bytes()])
}
