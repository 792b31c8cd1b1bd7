//! Who changes what people and services may do, and whose it is. An API key is nobody who does: of one that got this far, the session that is
//! looked for behind the lock is the key, which is none.
//! Practices 1.rbac, 9.least-privilege. Attacks: `tests/suite/attacks/s09_secrets/keys_for_people_only.rs`.

use crate::access::{Principal, Transport, permission::Permission, role::AccessError};
use uuid::Uuid;

/// A person who changes authority.
#[derive(Debug, Clone, Copy)]
pub struct Person {
    /// Who.
    pub account: Uuid,
    /// By virtue of this permission; `None`: of its being about themselves.
    pub by: Option<Permission>,
    /// At this assurance level.
    pub assurance: i16,
    /// In this session, which must not have ended; `None`: in none of ours.
    pub session: Option<Uuid>,
}

/// Whose roles are set. One is never taken for the other: each has routes of its own.
#[derive(Debug, Clone, Copy)]
pub enum Holder {
    /// A person's account.
    Person(Uuid),
    /// A service account.
    Service(Uuid),
}

impl Holder {
    /// The account.
    #[must_use]
    pub fn id(self) -> Uuid {
        match self {
            Self::Person(id) | Self::Service(id) => id,
        }
    }

    /// The kind's name in the table `users`.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Person(_) => "person",
            Self::Service(_) => "service",
        }
    }
}

/// Who changes authority: a person, or the command line or a trusted source, which may act on everybody.
#[derive(Debug, Clone, Copy)]
pub enum Actor {
    /// A person.
    Person(Person),
    /// Somebody with the service's own database login.
    CommandLine,
    /// A source of webhooks that the settings trust with it.
    Source,
}

impl From<Principal> for Person {
    fn from(Principal { account, session, transport, assurance, .. }: Principal) -> Self {
        // of a key it is the key, and not found: a key changes no authority, whatever lets it in
        Self { account, by: None, assurance, session: (transport != Transport::Outside).then_some(session) }
    }
}

impl Actor {
    /// The person, for the record.
    #[must_use]
    pub fn person(self) -> Option<Uuid> {
        match self {
            Self::Person(person) => Some(person.account),
            Self::CommandLine | Self::Source => None,
        }
    }

    pub(super) fn ensure_second_factor(self) -> Result<(), AccessError> {
        match self {
            Self::Person(person) if person.assurance < 2 => Err(AccessError::NeedsSecondFactor),
            _ => Ok(()),
        }
    }
}
