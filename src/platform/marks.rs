//! Marks of use, collected in memory and written by a job in one statement: an ordinary request writes nothing. A crash loses the marks of
//! a few seconds.

use crate::platform::db;
use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};
use time::OffsetDateTime;
use uuid::Uuid;

/// The marks of this node that are not written yet, of one kind of row.
#[derive(Clone, Default)]
pub struct Marks(Arc<Mutex<HashMap<Uuid, OffsetDateTime>>>);

impl Marks {
    /// The row was used.
    pub fn mark(&self, id: Uuid, now: OffsetDateTime) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, now);
    }

    /// Gives all marks to `store`. Returns how many; while the database is away they wait for the next round.
    ///
    /// # Errors
    /// What `store` fails with.
    pub async fn write<F: Future<Output = Result<(), sqlx::Error>>>(
        &self,
        store: impl FnOnce(Vec<Uuid>, Vec<OffsetDateTime>) -> F,
    ) -> Result<usize, sqlx::Error> {
        let marks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if marks.is_empty() {
            return Ok(0);
        }
        let (ids, times) = marks.iter().unzip();
        let written = store(ids, times).await;
        if let Err(error) = &written
            && db::is_unavailable(error)
        {
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for (id, at) in &marks {
                waiting.entry(*id).or_insert(*at);
            }
        }
        written.map(|()| marks.len())
    }
}
