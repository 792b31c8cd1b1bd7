//! Disabling an account: nobody gets in any more, with a session or a key, from this moment on. One way, whoever causes it, an administrator
//! or a source that is trusted with it, so that neither does less. Practices 1.rbac, 11.audit.
//! Attacks: `tests/suite/attacks/s01_authorization/`, `tests/suite/attacks/s11_webhooks/offboarding_abuse.rs`.

use crate::{
    access::role::{self, AccessError},
    accounts::{AccountId, directory},
    audit::{self, Entry, Event, Origin},
    credentials::api_key,
    platform::{db::StoreError, keyring::Keyring},
    sessions::{end_all, revocation::Revocations},
};
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Who causes it, for the record.
pub struct By<'b> {
    /// From where.
    pub origin: &'b Origin,
    /// The administrator.
    pub actor: Option<Uuid>,
    /// The webhook that said so.
    pub webhook: Option<Uuid>,
}

/// Why an account was not disabled.
#[derive(Debug, thiserror::Error)]
pub enum DisablingError {
    /// Authority forbids it.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The event could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database refused or is away.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Disables an account, ends its sessions and keys, and records it. To be asked behind [`role::begin_change`]. `false`: it was disabled
/// already, or there is none.
///
/// # Errors
/// [`AccessError::LastAdministrator`]; else [`DisablingError`]. The caller rolls back.
pub async fn disable(
    connection: &mut PgConnection,
    (keyring, revocations): (&Keyring, &Revocations),
    account: AccountId,
    by: &By<'_>,
    now: OffsetDateTime,
) -> Result<bool, DisablingError> {
    if !directory::store::set_disabled(connection, account, true, now).await? {
        return Ok(false);
    }
    let ended = end_all(connection, revocations, account.0, now).await?;
    end_keys(connection, keyring, account.0, by, now).await?;
    role::ensure_dispensable(connection, account.0).await?;
    let entry = Entry::new(Event::AccountDisabled, by.origin, by.actor, Some(account.0));
    audit::record(connection, keyring, now, entry.detail(json!({ "sessions": ended, "webhook": by.webhook }))).await?;
    Ok(true)
}

/// Ends every API key of an account, and records it where there was one.
///
/// # Errors
/// [`StoreError`].
pub async fn end_keys(connection: &mut PgConnection, keyring: &Keyring, owner: Uuid, by: &By<'_>, now: OffsetDateTime) -> Result<(), StoreError> {
    let keys = api_key::store::revoke_all(connection, owner, now).await?;
    if keys > 0 {
        let entry = Entry::new(Event::ApiKeyRevoked, by.origin, by.actor, Some(owner));
        audit::record(connection, keyring, now, entry.detail(json!({ "keys": keys, "webhook": by.webhook }))).await?;
    }
    Ok(())
}
