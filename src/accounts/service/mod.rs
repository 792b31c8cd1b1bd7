//! Accounts of services: they have roles and a department as people have, own API keys, and do nothing else. Nobody signs in to one, and no
//! letter goes there: the database itself has no place for an address, a password or a session of theirs. So keys outlive whoever made them.
//! Who may act on which is said by the guards in `api` and by `access/role.rs`.
//! Practice 9.least-privilege. Attacks: `tests/suite/attacks/s01_authorization/service_account_takeover.rs`.

pub mod store;

use crate::accounts::{AccountId, directory::Status};
use time::OffsetDateTime;

/// Most service accounts there are.
pub const MAX_ACCOUNTS: i64 = 1000;

/// A service account.
#[derive(Debug)]
pub struct ServiceAccount {
    /// Its id.
    pub id: AccountId,
    /// What it is called.
    pub name: String,
    /// Active or disabled.
    pub status: Status,
    /// Where it belongs: policies decide by it.
    pub department: Option<String>,
    /// Names of the roles that count now.
    pub roles: Vec<String>,
    /// When it was made.
    pub created_at: OffsetDateTime,
}
