//! Marks of use of sessions. Where a crash loses some, such a session ends that much early, never late.

use crate::{platform::marks::Marks, sessions::store};
use sqlx::PgPool;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// The marks of this node that are not written yet.
#[derive(Clone, Default)]
pub struct Seen(Marks);

impl Seen {
    /// The session was used.
    pub fn mark(&self, session: Uuid, now: OffsetDateTime) {
        self.0.mark(session, now);
    }

    /// Writes all marks. Returns how many sessions were marked; after a failure the marks wait for the next round.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn write(&self, pool: &PgPool, idle: Duration) -> Result<usize, sqlx::Error> {
        self.0.write(|sessions, times| async move { store::mark_seen(pool, &sessions, &times, idle).await }).await
    }
}
