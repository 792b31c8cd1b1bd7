//! Session management: how long sessions last, how old a proof may be, and whether all clocks agree on it.
//! Practice 16.checklist. Tests: `tests/suite/contract/check.rs`.

use super::{Check, Finding, advise, at_most, built_in};
use time::Duration;

/// Ends of sessions, locks and letters are compared with this machine's clock, what Postgres does by itself with its own.
const CLOCKS_AGREE: Duration = Duration::seconds(5);

pub(super) const CHECKS: &[Check] = &[
    advise("sessions.cookies", &["PORTCULLIS_SESSION_IDLE_MINUTES", "PORTCULLIS_SESSION_ABSOLUTE_HOURS"], |facts| {
        let bounds = [("PORTCULLIS_SESSION_IDLE_MINUTES", 30), ("PORTCULLIS_SESSION_ABSOLUTE_HOURS", 24)];
        let why = "OWASP's sheet on sessions asks for 30 minutes idle at most, NIST SP 800-63B-4 for a day in all at AAL2";
        at_most(facts, &bounds, why, "a session with a cookie ends when nobody uses it, and in any case within a day")
    }),
    advise("sessions.tokens", &["PORTCULLIS_REFRESH_IDLE_DAYS", "PORTCULLIS_REFRESH_ABSOLUTE_DAYS", "PORTCULLIS_REFRESH_GRACE_SECONDS"], |facts| {
        let bounds = [("PORTCULLIS_REFRESH_IDLE_DAYS", 30), ("PORTCULLIS_REFRESH_ABSOLUTE_DAYS", 30), ("PORTCULLIS_REFRESH_GRACE_SECONDS", 10)];
        let why = "NIST SP 800-63B-4 asks for a new sign-in within 30 days, and a copied refresh token is not noticed within the grace";
        at_most(facts, &bounds, why, "refresh tokens are used once, and a session with tokens ends within 30 days")
    }),
    advise("sessions.step-up", &["PORTCULLIS_STEP_UP_MINUTES"], |facts| {
        let why = "a session that is taken over can change the account for as long";
        at_most(facts, &[("PORTCULLIS_STEP_UP_MINUTES", 15)], why, "what changes an account or authority needs a proof of a moment ago")
    }),
    built_in("sessions.flags", "tests/suite/attacks/s14_sessions/unsafe_cookie.rs", |_| {
        Finding::holds("session cookies are __Host-, Secure, HttpOnly and SameSite=Strict; signing in, step-up and a new password change their keys")
    }),
    advise("sessions.clock", &[], |facts| {
        facts.in_database(|found| {
            let ahead = found.inspected.server.ahead;
            let seconds = ahead.abs().as_seconds_f32();
            if ahead.abs() > CLOCKS_AGREE {
                let which = if ahead.is_positive() { "ahead of" } else { "behind" };
                return Finding::falls_short(format!("the clock of the database is {seconds:.0} seconds {which} this machine's: both need NTP"));
            }
            Finding::holds(format!("the clocks of the database and this machine are {seconds:.1} seconds apart"))
        })
    }),
];
