//! Marks of use, collected in memory and written by a job in one statement: an ordinary request writes nothing. A crash loses
//! the marks of a few seconds; such a session ends that much early, never late.

use crate::{platform::db, sessions::store};
use sqlx::PgPool;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// The marks of this node that are not written yet.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<HashMap<Uuid, OffsetDateTime>>>);

impl Seen {
    /// The session was used.
    pub fn mark(&self, session: Uuid, now: OffsetDateTime) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(session, now);
    }

    /// Writes all marks. Returns how many sessions were marked; after a failure the marks wait for the next round.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn write(&self, pool: &PgPool, idle: Duration) -> Result<usize, sqlx::Error> {
        let marks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if marks.is_empty() {
            return Ok(0);
        }
        let (sessions, times): (Vec<Uuid>, Vec<OffsetDateTime>) = marks.iter().unzip();
        let written = store::mark_seen(pool, &sessions, &times, idle).await;
        if let Err(error) = &written
            && db::is_unavailable(error)
        {
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for (session, at) in marks {
                waiting.entry(session).or_insert(at);
            }
        }
        written.map(|()| sessions.len())
    }
}
