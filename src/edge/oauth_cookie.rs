//! Binds a sign-in with another service to the browser that began it: what comes back in another one is worth nothing, so that nobody is
//! signed in to an attacker's account, or links an attacker's identity, by a link. By itself it opens nothing.
//! Practice 1.oauth-oidc. Attacks: `tests/suite/attacks/s10_access_control/forged_callback.rs`.

use crate::platform::crypto::SecretToken;
use actix_web::cookie::{Cookie, SameSite, time::Duration};

/// The cookie's name; see `session_cookie` for the prefix.
pub const COOKIE: &str = "__Host-portcullis-oauth";

/// The cookie of a sign-in that is over after so many seconds.
#[must_use]
pub fn cookie(secret: &SecretToken, seconds: i64) -> Cookie<'static> {
    let mut cookie = bare(secret.expose().to_owned());
    cookie.set_max_age(Duration::seconds(seconds));
    cookie
}

/// Takes it away.
#[must_use]
pub fn removal() -> Cookie<'static> {
    let mut cookie = bare(String::new());
    cookie.make_removal();
    cookie
}

/// The page that the provider sends the browser to calls from our own site: Strict cookies go along.
fn bare(value: String) -> Cookie<'static> {
    Cookie::build(COOKIE, value).path("/").secure(true).http_only(true).same_site(SameSite::Strict).finish()
}
