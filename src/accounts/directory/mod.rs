//! People's accounts as administrators see them. Who may look or change is said by the guards in `api`; on whom, by `access/role.rs`.

pub mod store;

use crate::accounts::AccountId;
use time::OffsetDateTime;
use uuid::Uuid;

/// The state of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As usual.
    Active,
    /// Nobody gets in.
    Disabled,
    /// Closed by its owner, erased soon.
    Closing,
}

impl Status {
    /// The name in the table `users`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Closing => "closing",
        }
    }

    pub(in crate::accounts) fn named(name: &str) -> Self {
        match name {
            "active" => Self::Active,
            "closing" => Self::Closing,
            // one that this binary does not know gets nobody in
            _ => Self::Disabled,
        }
    }
}

/// An account in the directory.
#[derive(Debug)]
pub struct Listed {
    /// Its id.
    pub id: AccountId,
    /// The proven address.
    pub email: String,
    /// What the owner wants to be called.
    pub name: String,
    /// Its state.
    pub status: Status,
    /// Where the owner belongs.
    pub department: Option<String>,
    /// Names of the roles that count now.
    pub roles: Vec<String>,
    /// When it began.
    pub created_at: OffsetDateTime,
    /// When somebody last signed in.
    pub last_signed_in_at: Option<OffsetDateTime>,
}

/// Which accounts to list.
#[derive(Debug, Default)]
pub struct Filter {
    /// The address begins like this.
    pub email: Option<String>,
    /// In this state.
    pub status: Option<Status>,
    /// In this department.
    pub department: Option<String>,
    /// With this role.
    pub role: Option<String>,
    /// Older than this account.
    pub before: Option<Uuid>,
}
