//! CORS: exact origins, and only of the site that the cookies go to.
//! Practice 16.checklist. Tests: `tests/suite/contract/check.rs`.

use super::{Check, Finding, advise, insist};
use url::Url;

const ORIGINS: &str = "PORTCULLIS_CORS_ORIGINS";

pub(super) const CHECKS: &[Check] = &[
    insist("cors.origins", &[ORIGINS], |facts| match facts.list(ORIGINS).len() {
        0 => Finding::holds("pages of no other origin may call with cookies"),
        // the settings take no pattern, no `null`, no path and no clear text
        number => Finding::holds(format!("{number} origins, each compared whole; none with a pattern or in clear text")),
    }),
    advise("cors.same-site", &[ORIGINS, "PORTCULLIS_PUBLIC_URL"], |facts| {
        let own = host(facts.text("PORTCULLIS_PUBLIC_URL"));
        let foreign = facts.list(ORIGINS).into_iter().filter(|origin| !is_near(&host(origin), &own));
        let short = foreign.map(|origin| {
            format!(
                "{ORIGINS}: {origin} shares no site with {own}: browsers send no cookies along from there, and nothing is to be gained by allowing it"
            )
        });
        Finding::unless(short.collect(), "no origin of a site that has nothing to do with the service is allowed")
    }),
];

fn host(origin: &str) -> String {
    Url::parse(origin).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

/// Whether they may be of one site: the same last two labels at least, or the same host. More only the list of public suffixes knows.
fn is_near(one: &str, other: &str) -> bool {
    let shared = one.rsplit('.').zip(other.rsplit('.')).take_while(|(one, other)| one == other).count();
    one == other || shared >= 2
}
