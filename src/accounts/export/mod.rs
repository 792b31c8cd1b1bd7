//! Exports of personal data: asked for by the owner, made by a job, kept sealed under the person's own key for some days.

pub mod store;

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// A new export is made at most this often; asking earlier gives the last one.
pub const AT_MOST_EVERY: Duration = Duration::hours(1);

/// An export, without its contents.
#[derive(Debug, Clone)]
pub struct Export {
    /// Its id.
    pub id: Uuid,
    /// When it was asked for.
    pub requested_at: OffsetDateTime,
    /// When it is deleted.
    pub expires_at: OffsetDateTime,
    /// Whether it has been made.
    pub is_ready: bool,
}
