//! What happened: one closed list of events, each written in the transaction of what it tells about, so that there is no deed
//! without its event and no event without its deed. The run-time role can add and read, never change.
//!
//! Personal details (address, device, e-mail) are sealed under a key of the person whose they are ([`subject_key`]): of the actor,
//! else of the subject. Erasing somebody deletes that key, and what remains is anonymous. Refusals that strangers cause are written only after their quota.
//! A job chains what was written ([`chain`]), so that a change by somebody else shows.
//! Practices 11.audit, 8.redaction. Attacks: `tests/suite/attacks/s02_credentials/`.

pub mod alerts;
pub mod chain;
mod detail;
mod listing;
pub mod store;
pub mod subject_key;
pub mod told;

pub use detail::Detail;
pub use listing::{Filter, Recorded};

use crate::platform::{
    crypto,
    db::StoreError,
    keyring::{KeyBytes, Keyring},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::{collections::HashMap, net::IpAddr};
use time::OffsetDateTime;
use uuid::Uuid;

macro_rules! events {
    ($($(#[$about:meta])* $variant:ident = $name:literal;)*) => {
        /// The closed list of events.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, utoipa::ToSchema)]
        pub enum Event { $($(#[$about])* #[schema(rename = $name)] $variant,)* }

        impl Event {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

events! {
    /// An account began.
    AccountCreated = "account.created";
    /// The owner changed the name.
    ProfileChanged = "account.profile_changed";
    /// Somebody signed in; `detail.new_device` says whether the device was known.
    SignedIn = "session.started";
    /// A password was refused.
    SignInRefused = "session.refused";
    /// The first factor was right, and the second is awaited.
    SecondFactorAwaited = "session.second_factor_awaited";
    /// A second factor was refused.
    SecondFactorRefused = "second_factor.refused";
    /// A signed-in person showed that they read the account's mail.
    MailboxProven = "session.mailbox_proven";
    /// A signed-in person showed once more who they are.
    SteppedUp = "session.stepped_up";
    /// A second factor was set up; `detail.sessions` counts the sessions that ended.
    SecondFactorAdded = "second_factor.added";
    /// A second factor was removed by its owner.
    SecondFactorRemoved = "second_factor.removed";
    /// Recovery codes were made anew.
    RecoveryCodesReplaced = "second_factor.recovery_codes_replaced";
    /// An administrator let a link go out that takes the second factors away.
    SecondFactorResetAllowed = "second_factor.reset_allowed";
    /// The owner took the second factors away by that link.
    SecondFactorReset = "second_factor.reset";
    /// A signed-in person gave a wrong password where it was asked for again.
    ReauthenticationRefused = "password.refused";
    /// A used refresh token gave its successor once more, as for a second tab; both addresses are with it.
    RefreshRepeated = "refresh_token.repeated";
    /// A used refresh token came back too late: the session was ended; both addresses are with it.
    RefreshReplayed = "refresh_token.replayed";
    /// Keys were rotated.
    KeysRotated = "keys.rotated";
    /// The overlap of retired keys was ended, or nothing hung on them any more.
    KeysRetired = "keys.retired";
    /// The keyring was sealed anew under another key-encryption key; `detail.count` counts its keys.
    KeysReencrypted = "keys.reencrypted";
    /// Keys were revoked.
    KeysRevoked = "keys.revoked";
    /// The owner signed out.
    SignedOut = "session.ended";
    /// One session was ended from the device list, or all others, or all; `detail.sessions` counts them.
    SessionsRevoked = "session.revoked";
    /// "This was not me".
    SessionDisowned = "session.disowned";
    /// A device became known by a mailed link.
    DeviceTrusted = "device.trusted";
    /// A letter for a new password was asked for.
    PasswordResetRequested = "password.reset_requested";
    /// A new password was set by a letter.
    PasswordReset = "password.reset";
    /// A new password was set by the signed-in owner.
    PasswordChanged = "password.changed";
    /// Another address was asked for.
    EmailChangeRequested = "email.change_requested";
    /// The address was changed.
    EmailChanged = "email.changed";
    /// The change of address was taken back.
    EmailChangeUndone = "email.change_undone";
    /// An identity at another service leads to the account from now on.
    IdentityLinked = "identity.linked";
    /// It does not any more.
    IdentityUnlinked = "identity.unlinked";
    /// The owner closed the account.
    AccountClosed = "account.closed";
    /// The owner keeps the account after all.
    AccountKept = "account.kept";
    /// The person was erased.
    AccountErased = "account.erased";
    /// The owner gave a passkey another name.
    PasskeyRenamed = "passkey.renamed";
    /// A passkey was refused because its device's counter went back: somebody has a copy of it.
    PasskeyCopied = "passkey.copied";
    /// The owner asked for a copy of the data.
    ExportRequested = "export.requested";
    /// The owner fetched it.
    ExportFetched = "export.fetched";
    /// An administrator disabled an account.
    AccountDisabled = "account.disabled";
    /// An administrator enabled an account.
    AccountEnabled = "account.enabled";
    /// An administrator set the department.
    DepartmentChanged = "account.department_changed";
    /// Somebody's roles were set.
    RolesChanged = "account.roles_changed";
    /// A role was made.
    RoleCreated = "role.created";
    /// A role's permissions were changed.
    RoleChanged = "role.changed";
    /// A role was deleted.
    RoleDeleted = "role.deleted";
    /// Somebody was invited.
    InvitationSent = "invitation.sent";
    /// An invitation was taken back.
    InvitationRevoked = "invitation.revoked";
    /// An invitation was accepted.
    InvitationAccepted = "invitation.accepted";
    /// A document was made.
    DocumentCreated = "document.created";
    /// A document was changed; `detail.fields` names what of it.
    DocumentChanged = "document.changed";
    /// Who else has a document was set.
    DocumentShared = "document.shared";
    /// A document was deleted.
    DocumentDeleted = "document.deleted";
    /// A document was restored.
    DocumentRestored = "document.restored";
    /// What was old enough was removed from this log by its owner; `detail` has the last that went, and how many went.
    AuditPruned = "audit.pruned";
    /// Events were exported with their personal parts by the command line.
    AuditOpened = "audit.opened";
    /// An API key was made: of its maker's own account, or of a service account.
    ApiKeyCreated = "api_key.created";
    /// An API key got a successor.
    ApiKeyRotated = "api_key.rotated";
    /// An API key was revoked; or, with `detail.keys`, all of somebody's.
    ApiKeyRevoked = "api_key.revoked";
    /// A service account was made.
    ServiceAccountCreated = "service_account.created";
    /// A service account was deleted, with its keys and what it owned.
    ServiceAccountDeleted = "service_account.deleted";
    /// A source's webhook was stored.
    WebhookReceived = "webhook.received";
    /// It came again and changed nothing.
    WebhookRepeated = "webhook.repeated";
    /// One was refused; `detail.reason` says why.
    WebhookRefused = "webhook.refused";
    /// One was dealt with.
    WebhookProcessed = "webhook.processed";
    /// One was given up.
    WebhookFailed = "webhook.failed";
    /// Somebody read what one said.
    WebhookOpened = "webhook.opened";
    /// An endpoint for webhooks was made.
    WebhookEndpointCreated = "webhook_endpoint.created";
    /// An endpoint was changed; `detail.fields` names what of it.
    WebhookEndpointChanged = "webhook_endpoint.changed";
    /// An endpoint was deleted, with what it was told.
    WebhookEndpointDeleted = "webhook_endpoint.deleted";
    /// An endpoint got new keys.
    WebhookSecretRotated = "webhook_endpoint.secret_rotated";
    /// The service disabled an endpoint; `detail.reason` says why.
    WebhookEndpointDisabled = "webhook_endpoint.disabled";
    /// A message for an endpoint was made to see whether it arrives.
    WebhookTested = "webhook.tested";
    /// Messages are sent to an endpoint again; `detail.count` counts them.
    WebhookReplayed = "webhook.replayed";
    /// An endpoint took a message.
    WebhookDelivered = "webhook.delivered";
    /// The first attempt to deliver a message failed; others follow.
    WebhookDeliveryFailed = "webhook.delivery_failed";
    /// A message is not tried any more.
    WebhookGivenUp = "webhook.given_up";
    /// An alert: one network fails to sign in to many accounts.
    CredentialStuffing = "alert.credential_stuffing";
    /// An alert: many accounts fail from many networks.
    PasswordSpraying = "alert.password_spraying";
    /// An alert: one account fails from many networks.
    AddressSpread = "alert.address_spread";
    /// An alert: a used refresh token came back.
    RefreshTheft = "alert.refresh_theft";
    /// An alert: one person is refused many different things.
    PermissionProbing = "alert.permission_probing";
}

/// Where a call came from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The request's id, as in the log.
    pub request: Option<Uuid>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The client's coarse device name.
    pub device: String,
    /// The API key that it came with.
    pub key: Option<Uuid>,
}

impl Origin {
    /// The service itself, or its command line.
    #[must_use]
    pub fn service() -> Self {
        Self { request: None, address: None, device: "the service".into(), key: None }
    }
}

/// An event to be written.
#[derive(Clone)]
pub struct Entry<'e> {
    event: Event,
    origin: &'e Origin,
    is_refused: bool,
    actor: Option<Uuid>,
    subject: Option<Uuid>,
    detail: Value,
    emails: Vec<String>,
    other_address: Option<String>,
}

/// The personal part of an event.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Personal {
    /// The client's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The client's device.
    pub device: String,
    /// Another address that it is about, as much of it as was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_address: Option<String>,
    /// E-mail addresses that it is about, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<String>,
}

impl<'e> Entry<'e> {
    /// Something that the owner did to their own account.
    #[must_use]
    pub fn own(event: Event, origin: &'e Origin, account: Uuid) -> Self {
        Self::new(event, origin, Some(account), Some(account))
    }

    /// Something that `actor` did to `subject`.
    #[must_use]
    pub fn new(event: Event, origin: &'e Origin, actor: Option<Uuid>, subject: Option<Uuid>) -> Self {
        Self { event, origin, is_refused: false, actor, subject, detail: json!({}), emails: Vec::new(), other_address: None }
    }

    /// It was refused.
    #[must_use]
    pub fn refused(self) -> Self {
        Self { is_refused: true, ..self }
    }

    /// What else is to be known: fields of the list in `detail.rs`. Nothing personal.
    #[must_use]
    pub fn detail(self, detail: Value) -> Self {
        Self { detail, ..self }
    }

    /// Where the other party was, as much of it as was kept.
    #[must_use]
    pub fn other_address(self, address: Option<String>) -> Self {
        Self { other_address: address, ..self }
    }

    /// An address that it is about.
    #[must_use]
    pub fn email(mut self, email: &str) -> Self {
        self.emails.push(email.to_owned());
        self
    }
}

/// Writes an event as part of the caller's transaction. One that an API key caused names the key: a machine's account may have many.
///
/// # Errors
/// [`StoreError`].
pub async fn record(connection: &mut PgConnection, keyring: &Keyring, now: OffsetDateTime, mut entry: Entry<'_>) -> Result<(), StoreError> {
    if let (Some(key), Value::Object(detail)) = (entry.origin.key, &mut entry.detail) {
        detail.insert("key".into(), json!(key));
    }
    let (id, detail) = (crypto::uuid_v7(now), Detail::to_write(&entry.detail)?);
    let personal = Personal {
        address: entry.origin.address,
        device: entry.origin.device.clone(),
        other_address: entry.other_address.clone(),
        emails: entry.emails.clone(),
    };
    let plain = serde_json::to_vec(&personal)?;
    // where nothing personal is told there is no need of anybody's key, which may be gone
    let is_personal = entry.origin.address.is_some() || !entry.emails.is_empty();
    let owner = entry.actor.or(entry.subject).filter(|_| is_personal);
    let (key_version, sealed) = subject_key::seal(connection, keyring, now, owner, id.as_bytes(), &plain).await?;
    store::insert(connection, id, now, (&entry, &serde_json::to_value(detail)?), (key_version, &sealed)).await?;
    metrics::counter!("portcullis_audit_events_total", "event" => entry.event.name()).increment(1);
    Ok(())
}

/// A page of events, the newest first, with their personal part where its key still exists.
///
/// # Errors
/// [`StoreError`].
pub async fn list(connection: &mut PgConnection, keyring: &Keyring, filter: &Filter, limit: i64) -> Result<Vec<Recorded>, StoreError> {
    let rows = store::list(connection, filter, limit).await?;
    let owners: Vec<Uuid> = rows.iter().filter_map(|row| row.actor.or(row.subject)).collect();
    let keys = subject_key::of(connection, keyring, &owners).await?;
    let open = |row: store::Row| {
        let personal = opened(keyring, &keys, row.id, row.actor.or(row.subject), row.key_version, &row.sealed);
        let store::Row { id, at, event, outcome, actor, subject, request, detail, .. } = row;
        Recorded { id, at, event, outcome, actor, subject, request, detail: Detail::to_show(detail), personal }
    };
    Ok(rows.into_iter().map(open).collect())
}

/// The personal part of an event, where the key of the person whose it is still exists.
fn opened(
    keyring: &Keyring,
    keys: &HashMap<Uuid, KeyBytes>,
    id: Uuid,
    owner: Option<Uuid>,
    key_version: Option<i32>,
    sealed: &[u8],
) -> Option<Personal> {
    let plain = match owner.filter(|_| key_version.is_none()) {
        Some(owner) => keys.get(&owner).and_then(|key| crypto::open(key.expose(), id.as_bytes(), sealed).ok()),
        None => subject_key::open_nobodys(keyring, key_version, id.as_bytes(), sealed),
    };
    serde_json::from_slice(&plain?).ok()
}
