//! Which events are listed, and what is told of each to who may read the log. Practice 11.audit.

use crate::audit::{Detail, Personal};
use time::OffsetDateTime;
use uuid::Uuid;

/// Which events to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// About this account.
    pub subject: Option<Uuid>,
    /// By this account.
    pub actor: Option<Uuid>,
    /// Of this kind.
    pub event: Option<String>,
    /// With this outcome.
    pub outcome: Option<String>,
    /// Not before.
    pub from: Option<OffsetDateTime>,
    /// Before.
    pub until: Option<OffsetDateTime>,
    /// Not about this account: with `actor`, what somebody did to others.
    pub not_subject: Option<Uuid>,
    /// Older than this event.
    pub before: Option<Uuid>,
}

/// An event as it was written.
pub struct Recorded {
    /// Its id; the order of ids is the order of time.
    pub id: Uuid,
    /// When.
    pub at: OffsetDateTime,
    /// What.
    pub event: String,
    /// `success` or `refused`.
    pub outcome: String,
    /// Who did it.
    pub actor: Option<Uuid>,
    /// To whom.
    pub subject: Option<Uuid>,
    /// In which request.
    pub request: Option<Uuid>,
    /// What else.
    pub detail: Detail,
    /// From where; `None` once the person was erased.
    pub personal: Option<Personal>,
}
