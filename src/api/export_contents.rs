//! What an export of one's data has in it, for the API document: `jobs/export.rs` makes it, and a test holds the two together. What is not
//! listed here is in no export. Practice 15.excessive-data. Held by `tests/suite/contract/data_exposure.rs`.

#![expect(dead_code, reason = "described, never made")]

use crate::{
    access::{Transport, permission::Permission},
    accounts::{AccountId, Email, Name},
    api::{
        roles::RoleName,
        shapes::{DeviceName, IssuerName, NetworkAddress, NetworkRange, Outcome, SubjectName},
    },
    audit::{Detail, Event},
    documents::Classification,
};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// Everything that is held about somebody.
#[derive(ToSchema)]
pub struct ExportContents {
    /// The account.
    account: ExportedAccount,
    /// What signs one in beside the password.
    second_factor: ExportedSecondFactor,
    /// The roles that count.
    #[schema(max_items = 100)]
    roles: Vec<ExportedRole>,
    /// Where one is signed in.
    #[schema(max_items = 100_000)]
    sessions: Vec<ExportedSession>,
    /// The passkeys.
    #[schema(max_items = 20)]
    passkeys: Vec<ExportedPasskey>,
    /// The identities at other services.
    #[schema(max_items = 1000)]
    identities: Vec<ExportedIdentity>,
    /// The documents, the newest first.
    #[schema(max_items = 1000)]
    documents: Vec<ExportedDocument>,
    /// The API keys, as far as others than their holder know them.
    #[schema(max_items = 50)]
    api_keys: Vec<ExportedApiKey>,
    /// What happened to the account, and what its owner did to others; of each the newest ten thousand.
    #[schema(max_items = 20_000)]
    events: Vec<ExportedEvent>,
}

/// An account, in an export.
#[derive(ToSchema)]
struct ExportedAccount {
    id: AccountId,
    email: Email,
    name: Name,
    /// What the owner wrote about themselves, in HTML.
    #[schema(max_length = 4000, pattern = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")]
    about: String,
    department: Option<Name>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

/// Second factors, in an export.
#[derive(ToSchema)]
struct ExportedSecondFactor {
    /// Since when there is an authenticator app.
    totp_since: Option<OffsetDateTime>,
    #[schema(minimum = 0, maximum = 10)]
    recovery_codes_left: i64,
}

/// A role, in an export.
#[derive(ToSchema)]
struct ExportedRole {
    role: RoleName,
    expires_at: Option<OffsetDateTime>,
}

/// A session, in an export.
#[derive(ToSchema)]
struct ExportedSession {
    id: Uuid,
    device: DeviceName,
    address: Option<NetworkAddress>,
    transport: Transport,
    signed_in_at: OffsetDateTime,
    last_seen_at: OffsetDateTime,
}

/// A passkey, in an export.
#[derive(ToSchema)]
struct ExportedPasskey {
    id: Uuid,
    name: Name,
    is_backed_up: bool,
    created_at: OffsetDateTime,
    last_used_at: Option<OffsetDateTime>,
}

/// An API key, in an export.
#[derive(ToSchema)]
struct ExportedApiKey {
    id: Uuid,
    name: Name,
    #[schema(max_items = 100)]
    scopes: Vec<Permission>,
    #[schema(max_items = 20)]
    networks: Option<Vec<NetworkRange>>,
    created_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    last_used_at: Option<OffsetDateTime>,
}

/// An identity at another service, in an export.
#[derive(ToSchema)]
struct ExportedIdentity {
    issuer: IssuerName,
    subject: SubjectName,
    linked_at: OffsetDateTime,
    last_used_at: Option<OffsetDateTime>,
}

/// A document, in an export.
#[derive(ToSchema)]
struct ExportedDocument {
    id: Uuid,
    title: Name,
    /// What it says, in HTML.
    #[schema(max_length = 4000, pattern = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")]
    body: String,
    department: Option<Name>,
    classification: Classification,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    deleted_at: Option<OffsetDateTime>,
}

/// An event, in an export.
#[derive(ToSchema)]
struct ExportedEvent {
    id: Uuid,
    at: OffsetDateTime,
    event: Event,
    outcome: Outcome,
    detail: Detail,
    /// From where; `null` where somebody else acted.
    personal: Option<ExportedOrigin>,
}

/// Where a call came from, in an export.
#[derive(ToSchema)]
struct ExportedOrigin {
    #[schema(value_type = Option<NetworkAddress>, nullable = false)]
    address: Option<NetworkAddress>,
    device: DeviceName,
    #[schema(value_type = Option<NetworkAddress>, nullable = false)]
    other_address: Option<NetworkAddress>,
    /// E-mail addresses that it is about, the newest last.
    #[schema(max_items = 2, required = false)]
    emails: Vec<Email>,
}
