//! Invitations: a letter that somebody else asked for, with roles and a department that wait for the guest. The link is a mailed
//! proof of the same id. Who may give which role is `access/role.rs`'s business, when it is sent and again when it is accepted.
//! Attacks: `tests/suite/attacks/s01_authorization/role_escalation.rs`.

pub mod store;

use time::OffsetDateTime;
use uuid::Uuid;

/// An invitation as administrators see it.
#[derive(Debug)]
pub struct Invitation {
    /// Its id.
    pub id: Uuid,
    /// To which mailbox.
    pub email: String,
    /// By whom.
    pub invited_by: Uuid,
    /// Roles that wait.
    pub roles: Vec<String>,
    /// Department that waits.
    pub department: Option<String>,
    /// When it was sent.
    pub created_at: OffsetDateTime,
    /// When it runs out.
    pub expires_at: OffsetDateTime,
    /// When it was accepted, or ended with another registration of the mailbox.
    pub used_at: Option<OffsetDateTime>,
    /// When it was taken back.
    pub revoked_at: Option<OffsetDateTime>,
}

/// What a guest gets.
pub struct Accepted {
    /// Who gives it.
    pub invited_by: Uuid,
    /// The roles.
    pub roles: Vec<String>,
}
