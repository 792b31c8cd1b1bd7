//! Secure headers, error handling, CSRF, dependencies: what is so in every build, with the tests that show it, and what a running program
//! cannot know of itself. Practice 16.checklist. Tests: `tests/suite/contract/check.rs`.

use super::{Check, Finding, advise, built_in, insist};
use time::{Date, Duration, macros::date};

pub(super) const HEADERS: &[Check] = &[
    built_in("headers.every-answer", "tests/suite/attacks/s05_headers/headers_on_every_answer.rs", |_| {
        Finding::holds("every answer has Content-Security-Policy, X-Frame-Options, X-Content-Type-Options, Referrer-Policy and Permissions-Policy")
    }),
    built_in("headers.hsts", "tests/suite/attacks/s05_headers/headers_on_every_answer.rs", |_| {
        Finding::holds("production asks for HTTPS for two years, for every subdomain of its host, too")
    }),
];

pub(super) const ERRORS: &[Check] = &[
    built_in("errors.inside", "tests/suite/attacks/s08_errors/inside_of_errors.rs", |_| {
        Finding::holds("refusals are of a closed list of codes with fixed words; causes are in the log only")
    }),
    insist("errors.reports", &["PORTCULLIS_SENTRY_DSN"], |facts| {
        let is_wanted = facts.is_given("PORTCULLIS_SENTRY_DSN");
        match (is_wanted, facts.has_reports) {
            (true, false) => Finding::falls_short("PORTCULLIS_SENTRY_DSN is set, and this binary was built without the feature `sentry`"),
            // the settings take clear text on this machine only
            (true, true) => Finding::holds("faults are reported over TLS, as a closed list of fields"),
            (false, _) => Finding::holds("faults are reported to nobody; they are in the log"),
        }
    }),
];

pub(super) const CSRF: &[Check] = &[
    built_in("csrf.token", "tests/suite/attacks/s13_csrf/every_unsafe_call.rs", |_| {
        Finding::holds("every unsafe call by cookie needs its session's token and an origin that may call")
    }),
    built_in("csrf.same-site", "tests/suite/attacks/s14_sessions/unsafe_cookie.rs", |_| {
        Finding::holds("session cookies are SameSite=Strict and __Host-: other sites' calls carry none, and no subdomain plants one")
    }),
];

/// The last day on which a major version of Postgres is mended (postgresql.org/support/versioning).
const POSTGRES: [(i32, Date); 4] =
    [(15, date!(2027 - 11 - 11)), (16, date!(2028 - 11 - 09)), (17, date!(2029 - 11 - 08)), (18, date!(2030 - 11 - 14))];
/// Time to plan the next one.
const PLANNED: Duration = Duration::days(90);

pub(super) const DEPENDENCIES: &[Check] = &[
    advise("dependencies.advisories", &[], |_| {
        Finding::cannot_tell(concat!(
            "a running program does not know what was found in its crates since: version ",
            env!("CARGO_PKG_VERSION"),
            " is held against the advisories by `cargo deny check` in its source"
        ))
    }),
    advise("dependencies.postgres", &[], |facts| {
        facts.in_database(|found| {
            let (major, minor) = (found.inspected.server.version / 10_000, found.inspected.server.version % 10_000);
            let oldest = POSTGRES.iter().map(|(major, _)| *major).min().unwrap_or_default();
            match POSTGRES.iter().find(|(known, _)| *known == major) {
                None if major < oldest => {
                    Finding::falls_short(format!("Postgres {major}.{minor} is older than {oldest}, the oldest that this is tried with"))
                }
                None => Finding::cannot_tell(format!("Postgres {major}.{minor} is newer than this build")),
                Some((_, end)) if facts.now.date() > *end => Finding::falls_short(format!("Postgres {major} has not been mended since {end}")),
                Some((_, end)) if facts.now.date() + PLANNED > *end => {
                    Finding::falls_short(format!("Postgres {major} is mended until {end} only: plan for a newer one"))
                }
                Some((_, end)) => Finding::holds(format!("Postgres {major}.{minor}; version {major} is mended until {end}")),
            }
        })
    }),
];
