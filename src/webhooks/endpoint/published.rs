//! Which events others may be told of: what happens to accounts, and what matters to security. A closed list, so that an event is published
//! because somebody thought of it; the names are the audit log's. What webhooks do is not told by webhooks.

use crate::audit::Event::{self, *};
use std::borrow::Cow;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema, Type, schema::ObjectBuilder},
};

/// The kind of a message that tells nothing and shows that messages arrive.
pub const TEST: &str = "webhook.test";

/// The closed list.
pub const PUBLISHED: &[Event] = &[
    AccountCreated,
    ProfileChanged,
    SignedIn,
    SignInRefused,
    SecondFactorRefused,
    SecondFactorAdded,
    SecondFactorRemoved,
    RecoveryCodesReplaced,
    SecondFactorResetAllowed,
    SecondFactorReset,
    ReauthenticationRefused,
    RefreshReplayed,
    KeysRotated,
    KeysRetired,
    KeysRevoked,
    SignedOut,
    SessionsRevoked,
    SessionDisowned,
    DeviceTrusted,
    PasswordResetRequested,
    PasswordReset,
    PasswordChanged,
    EmailChangeRequested,
    EmailChanged,
    EmailChangeUndone,
    IdentityLinked,
    IdentityUnlinked,
    AccountClosed,
    AccountKept,
    AccountErased,
    PasskeyCopied,
    ExportRequested,
    ExportFetched,
    AccountDisabled,
    AccountEnabled,
    DepartmentChanged,
    RolesChanged,
    RoleCreated,
    RoleChanged,
    RoleDeleted,
    InvitationSent,
    InvitationRevoked,
    InvitationAccepted,
    AuditPruned,
    AuditOpened,
    ApiKeyCreated,
    ApiKeyRotated,
    ApiKeyRevoked,
    ServiceAccountCreated,
    ServiceAccountDeleted,
    CredentialStuffing,
    PasswordSpraying,
    AddressSpread,
    RefreshTheft,
    PermissionProbing,
];

/// One of the list, by name.
pub struct PublishedEvent;

impl PublishedEvent {
    /// Whether others may be told of an event of this name.
    #[must_use]
    pub fn is(name: &str) -> bool {
        PUBLISHED.iter().any(|event| event.name() == name)
    }
}

impl PartialSchema for PublishedEvent {
    fn schema() -> RefOr<Schema> {
        let names: Vec<&str> = PUBLISHED.iter().map(|event| event.name()).collect();
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).description(Some("An event that others may be told of.")).into()
    }
}

impl ToSchema for PublishedEvent {
    fn name() -> Cow<'static, str> {
        "PublishedEvent".into()
    }
}
