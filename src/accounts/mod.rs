//! Accounts and their life: asked for, proven, active, disabled.
//!
//! An account begins when its mailbox is proven, so nobody can prepare one for somebody else's address (pre-hijacking).

pub mod email;
pub mod name;
pub mod registration;
pub mod store;

pub use email::Email;
pub use name::Name;

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
    /// When the mailbox was proven.
    pub created_at: OffsetDateTime,
    /// When anything of this last changed.
    pub updated_at: OffsetDateTime,
}
