//! The refresh token's cookie, for pages that keep no secret of their own. Only the calls under `/v1/auth` ever see it; a page that
//! script has taken over can use it there and never read it.
//! Practice 2.refresh-cookie. Attacks: `tests/suite/attacks/s13_csrf/cross_site_refresh.rs`, `tests/suite/attacks/s14_sessions/unsafe_cookie.rs`.

use crate::platform::crypto::SecretToken;
use actix_web::cookie::{Cookie, SameSite, time::Duration};
use time::OffsetDateTime;

/// `__Secure-`, because `__Host-` would want `Path=/` and send it with every call: the one exception.
pub const COOKIE: &str = "__Secure-portcullis-refresh";
const PATH: &str = "/v1/auth";

/// The cookie of a session that ends at this time.
#[must_use]
pub fn cookie(token: &SecretToken, ends: OffsetDateTime, now: OffsetDateTime) -> Cookie<'static> {
    let mut cookie = bare(token.expose().to_owned());
    // rounded up: a session must not lose its cookie early
    cookie.set_max_age(Duration::seconds((ends - now).whole_seconds() + 1));
    cookie
}

/// Takes the cookie away. Only signing out does that: a refused refresh may be the slower of two, and the cookie is then the faster
/// one's.
#[must_use]
pub fn removal() -> Cookie<'static> {
    let mut cookie = bare(String::new());
    cookie.make_removal();
    cookie
}

fn bare(value: String) -> Cookie<'static> {
    Cookie::build(COOKIE, value).path(PATH).secure(true).http_only(true).same_site(SameSite::Strict).finish()
}
