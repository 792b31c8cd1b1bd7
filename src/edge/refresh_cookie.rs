//! The refresh token's cookie, for pages that keep no secret of their own. Only the calls under `/v1/auth` ever see it; a page that
//! script has taken over can use it there and never read it.
//!
//! A sibling site can set a `__Secure-` cookie for all of the domain, and so make a victim's page refresh the attacker's session. So a
//! second cookie with the `__Host-` prefix, which no sibling can set, must belong to the same session. By itself it opens nothing.
//! Practice 2.refresh-cookie. Attacks: `tests/suite/attacks/s13_csrf/cross_site_refresh.rs`, `tests/suite/attacks/s14_sessions/unsafe_cookie.rs`.

use crate::platform::crypto::SecretToken;
use actix_web::cookie::{Cookie, SameSite, time::Duration};
use time::OffsetDateTime;

/// `__Secure-`, because `__Host-` would want `Path=/` and send it with every call: the one exception.
pub const COOKIE: &str = "__Secure-portcullis-refresh";
const PATH: &str = "/v1/auth";

/// Says that this browser was given the other one.
pub const TIE: &str = "__Host-portcullis-refresh-tie";

/// The cookie of a session that ends at this time.
#[must_use]
pub fn cookie(token: &SecretToken, ends: OffsetDateTime, now: OffsetDateTime) -> Cookie<'static> {
    until(bare(COOKIE, PATH, token.expose().to_owned()), ends, now)
}

/// What ties it to this browser, for as long.
#[must_use]
pub fn tie(secret: &SecretToken, ends: OffsetDateTime, now: OffsetDateTime) -> Cookie<'static> {
    until(bare(TIE, "/", secret.expose().to_owned()), ends, now)
}

/// Takes both away. Only signing out does that: a refused refresh may be the slower of two, and the cookie is then the faster one's.
#[must_use]
pub fn removals() -> [Cookie<'static>; 2] {
    [bare(COOKIE, PATH, String::new()), bare(TIE, "/", String::new())].map(|mut cookie| {
        cookie.make_removal();
        cookie
    })
}

fn bare(name: &'static str, path: &'static str, value: String) -> Cookie<'static> {
    Cookie::build(name, value).path(path).secure(true).http_only(true).same_site(SameSite::Strict).finish()
}

fn until(mut cookie: Cookie<'static>, ends: OffsetDateTime, now: OffsetDateTime) -> Cookie<'static> {
    // rounded up: a session must not lose its cookie early
    cookie.set_max_age(Duration::seconds((ends - now).whole_seconds() + 1));
    cookie
}
