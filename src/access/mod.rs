//! May you: who a request speaks for ([`Principal`]), what they may do ([`permission`]) and to what ([`policy`]), and who may change that
//! ([`role`]).
//! Knows ids only, so that every room can use it.

mod actor;
pub mod permission;
pub mod policy;
pub mod role;
pub mod store;

use time::OffsetDateTime;
use uuid::Uuid;

/// How a session is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// The session cookie.
    Cookie,
    /// An access token, and a refresh token for the next one.
    Token,
    /// Somebody else's access token: there is no session here. Nobody asks for it, and it is not kept.
    #[serde(skip)]
    Outside,
    /// An API key, of a person or of a service account: there is no session here either.
    #[serde(skip)]
    Key,
}

impl Transport {
    /// The name in the table `sessions`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cookie => "cookie",
            Self::Token => "token",
            Self::Outside => "outside",
            Self::Key => "key",
        }
    }
}

/// Who a request speaks for, established by `edge/authenticate.rs` and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Principal {
    /// The account.
    pub account: Uuid,
    /// The session that the request belongs to; where a key carries it, the key's id.
    pub session: Uuid,
    /// How the session is carried.
    pub transport: Transport,
    /// Authenticator assurance level, 1 or 2 (NIST SP 800-63B-4).
    pub assurance: i16,
    /// When the person last proved who they are.
    #[serde(with = "time::serde::rfc3339")]
    pub authenticated_at: OffsetDateTime,
}

impl Principal {
    /// The API key that the request came with, if it came with one.
    #[must_use]
    pub fn key(&self) -> Option<Uuid> {
        (self.transport == Transport::Key).then_some(self.session)
    }
}
