//! How sure a session is of its owner: the authenticator assurance level (NIST SP 800-63B-4), how and when it was shown. The second level
//! falls back to the first when nobody uses the session for an hour, and a day after it was shown, whatever the session's own life is.
//! Practice 10.step-up. Attacks: `tests/suite/attacks/s10_access_control/stale_session.rs`.

use crate::sessions::store;
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

/// Notes that a session's owner has shown once more who they are. The ways add up. `None`: there is no such live session.
///
/// # Errors
/// When the database is away.
pub async fn raise(
    connection: &mut PgConnection,
    account: Uuid,
    session: Uuid,
    assured: &Assured,
    now: OffsetDateTime,
) -> Result<Option<Raised>, sqlx::Error> {
    store::raise(connection, account, session, assured, now).await
}

/// A session after [`raise`].
pub struct Raised {
    /// All ways in which its owner has shown who they are.
    pub amr: Vec<String>,
    /// It ends then in any case.
    pub absolute_expires_at: OffsetDateTime,
}
