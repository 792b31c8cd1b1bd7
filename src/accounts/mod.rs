//! Accounts and their life: asked for, proven, active, disabled, closing, erased.
//!
//! An account begins when its mailbox is proven, so nobody can prepare one for somebody else's address (pre-hijacking).

pub mod directory;
pub mod email;
pub mod export;
pub mod invitation;
pub mod name;
pub mod proof;
mod rich_text;
pub mod service;
pub mod store;
mod text;

pub use email::Email;
pub use name::Name;
pub use rich_text::RichText;

use crate::platform::crypto;
use time::OffsetDateTime;
use uuid::Uuid;

/// The id of an account. An identifier, not a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema, sqlx::Type)]
#[sqlx(transparent)]
#[serde(transparent)]
pub struct AccountId(pub Uuid);

/// An account as its owner sees it.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The proven address.
    pub email: String,
    /// What the owner wants to be called.
    pub name: String,
    /// What the owner writes about themselves: clean HTML.
    pub about: String,
    /// Where the owner belongs; set by administrators.
    pub department: Option<String>,
    /// When the mailbox was proven.
    pub created_at: OffsetDateTime,
    /// When anything of this last changed.
    pub updated_at: OffsetDateTime,
}

impl Account {
    /// A new account for a proven mailbox.
    #[must_use]
    pub fn new(email: &Email, name: &Name, now: OffsetDateTime) -> Self {
        let (id, email, name) = (AccountId(crypto::uuid_v7(now)), email.as_str().to_owned(), name.as_str().to_owned());
        Self { id, email, name, about: String::new(), department: None, created_at: now, updated_at: now }
    }
}
