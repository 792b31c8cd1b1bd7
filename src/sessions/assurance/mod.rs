//! How sure a session is of its owner: the authenticator assurance level (NIST SP 800-63B-4), how and when it was shown. The second level
//! falls back to the first when nobody uses the session for an hour, and a day after it was shown, whatever the session's own life is.
//! Practice 10.step-up. Attacks: `tests/suite/attacks/s10_access_control/stale_session.rs`.

pub mod store;

use crate::{
    access::{Principal, Transport},
    platform::crypto,
    sessions::{end_own, revocation::Revocations},
};
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// The second level lasts so long without use (NIST SP 800-63B-4 §2.2.3).
pub const AAL2_IDLE: Duration = Duration::hours(1);

/// The second level lasts so long in any case.
pub const AAL2_LONGEST: Duration = Duration::hours(24);

/// How somebody has shown who they are.
#[derive(Debug, Clone)]
pub struct Assured {
    /// 1 or 2.
    pub level: i16,
    /// The ways (RFC 8176).
    pub amr: Vec<String>,
    /// When.
    pub at: OffsetDateTime,
}

impl Assured {
    /// Until when the second level lasts, if the session was used `now`.
    #[must_use]
    pub fn aal2_until(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        (self.level == 2).then(|| (now + AAL2_IDLE).min(self.at + AAL2_LONGEST))
    }
}

/// Ways that show a second factor (RFC 8176).
const SECOND: [&str; 3] = ["mfa", "otp", "pop"];

/// The ways of a session that still count at this level.
#[must_use]
pub fn counting(amr: Vec<String>, level: i16) -> Vec<String> {
    amr.into_iter().filter(|way| level == 2 || !SECOND.contains(&way.as_str())).collect()
}

/// Notes that a session's owner has shown who they are, at this level. The ways add up. A session with a cookie goes on; one with tokens
/// goes on as another, so that a copy of its refresh token made before is worth nothing. `None`: there is no such live session.
///
/// # Errors
/// When the database is away.
pub async fn raise(
    connection: &mut PgConnection,
    revocations: &Revocations,
    principal: &Principal,
    assured: &Assured,
    now: OffsetDateTime,
) -> Result<Option<Raised>, sqlx::Error> {
    match principal.transport {
        Transport::Cookie => store::raise(connection, principal, assured, now).await,
        // somebody else's, or a key's: there is no session here
        Transport::Outside | Transport::Key => Ok(None),
        Transport::Token => {
            let raised = store::continue_as(connection, principal, crypto::uuid_v7(now), assured, now).await?;
            end_own(connection, revocations, principal.account, principal.session, now).await?;
            Ok(raised)
        }
    }
}

/// A session after [`raise`].
pub struct Raised {
    /// Its id.
    pub session: Uuid,
    /// All ways in which its owner has shown who they are.
    pub amr: Vec<String>,
    /// Unless it is used, it ends then.
    pub idle_expires_at: OffsetDateTime,
    /// It ends then in any case.
    pub absolute_expires_at: OffsetDateTime,
    /// Whether its refresh token is in a cookie.
    pub has_tie: bool,
}
