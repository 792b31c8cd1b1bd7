//! What a browser is asked, as `PublicKeyCredential.parseCreationOptionsFromJSON` and `parseRequestOptionsFromJSON` take it. Said here in
//! full, so that nothing is asked by a library's default: user verification is required, the passkey is to be found without its id, and
//! what the device says of its make is not wanted. Practice 10.mfa. Attacks: `tests/suite/attacks/s10_access_control/`.

use crate::credentials::passkey::{PUBLIC_KEY, store::Stored};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use utoipa::ToSchema;
use webauthn_rs_proto::{AuthenticatorTransport, PublicKeyCredentialCreationOptions, PublicKeyCredentialRequestOptions};

const REQUIRED: &str = "required";

/// Options for `navigator.credentials.create()`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreationOptions {
    rp: RelyingPartyEntity,
    user: UserEntity,
    /// 256 random bits, base64url.
    #[schema(min_length = 43, max_length = 43, pattern = "^[A-Za-z0-9_-]{43}$")]
    challenge: String,
    /// The best first.
    #[schema(max_items = 10)]
    pub_key_cred_params: Vec<CredentialParameters>,
    /// Milliseconds.
    #[schema(minimum = 0, maximum = 600_000)]
    timeout: u32,
    /// The account's passkeys: a device that has one of them makes no second.
    #[schema(max_items = 20)]
    exclude_credentials: Vec<CredentialDescriptor>,
    authenticator_selection: AuthenticatorSelection,
    /// `none`: the device's make is not asked for.
    #[schema(min_length = 1, max_length = 20, pattern = "^none$")]
    attestation: &'static str,
    extensions: CreationExtensions,
}

/// Whom the passkey is for.
#[derive(Serialize, ToSchema)]
struct RelyingPartyEntity {
    /// The service's host.
    #[schema(min_length = 1, max_length = 253, pattern = "^[a-z0-9.-]+$", example = "accounts.example.com")]
    id: String,
    /// The same, to be shown.
    #[schema(min_length = 1, max_length = 253, pattern = "^[a-z0-9.-]+$", example = "accounts.example.com")]
    name: String,
}

/// Whose the passkey is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UserEntity {
    /// The account's id, base64url.
    #[schema(min_length = 22, max_length = 22, pattern = "^[A-Za-z0-9_-]{22}$")]
    id: String,
    /// The account's address, to be shown.
    #[schema(min_length = 1, max_length = 254, pattern = r"^[^\x00-\x1f\x7f]+$")]
    name: String,
    /// The owner's name, to be shown.
    #[schema(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f]+$")]
    display_name: String,
}

/// An algorithm that is verified here.
#[derive(Serialize, ToSchema)]
struct CredentialParameters {
    #[schema(min_length = 1, max_length = 20, pattern = "^public-key$")]
    r#type: &'static str,
    /// By its number in IANA's list of COSE algorithms.
    #[schema(minimum = -65535, maximum = 0)]
    alg: i64,
}

/// One passkey.
#[derive(Serialize, ToSchema)]
struct CredentialDescriptor {
    #[schema(min_length = 1, max_length = 20, pattern = "^public-key$")]
    r#type: &'static str,
    /// The credential's id, base64url.
    #[schema(min_length = 1, max_length = 1364, pattern = "^[A-Za-z0-9_-]+$")]
    id: String,
    /// How the device is reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, max_items = 10)]
    transports: Vec<TransportHint>,
}

/// How a device is reached.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum TransportHint {
    Usb,
    Nfc,
    Ble,
    Internal,
    Hybrid,
}

/// Which devices will do.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AuthenticatorSelection {
    #[schema(min_length = 1, max_length = 20, pattern = "^required$")]
    resident_key: &'static str,
    require_resident_key: bool,
    #[schema(min_length = 1, max_length = 20, pattern = "^required$")]
    user_verification: &'static str,
}

/// What else the browser is asked.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CreationExtensions {
    /// Whether the passkey is found without its id.
    cred_props: bool,
    /// The device is not to use it, nor to tell that it has it, without verifying its user.
    #[schema(min_length = 1, max_length = 40, pattern = "^userVerificationRequired$")]
    credential_protection_policy: &'static str,
    /// Devices that cannot are taken all the same: the service looks at each use.
    enforce_credential_protection_policy: bool,
}

/// Options for `navigator.credentials.get()`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestOptions {
    /// 256 random bits, base64url.
    #[schema(min_length = 43, max_length = 43, pattern = "^[A-Za-z0-9_-]{43}$")]
    challenge: String,
    /// Milliseconds.
    #[schema(minimum = 0, maximum = 600_000)]
    timeout: u32,
    /// The service's host.
    #[schema(min_length = 1, max_length = 253, pattern = "^[a-z0-9.-]+$", example = "accounts.example.com")]
    rp_id: String,
    /// The account's passkeys; empty: any that the device has for this service.
    #[schema(max_items = 20)]
    allow_credentials: Vec<CredentialDescriptor>,
    #[schema(min_length = 1, max_length = 20, pattern = "^required$")]
    user_verification: &'static str,
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn hint(transport: &AuthenticatorTransport) -> Option<TransportHint> {
    match transport {
        AuthenticatorTransport::Usb => Some(TransportHint::Usb),
        AuthenticatorTransport::Nfc => Some(TransportHint::Nfc),
        AuthenticatorTransport::Ble => Some(TransportHint::Ble),
        AuthenticatorTransport::Internal => Some(TransportHint::Internal),
        AuthenticatorTransport::Hybrid => Some(TransportHint::Hybrid),
        AuthenticatorTransport::Test | AuthenticatorTransport::Unknown => None,
    }
}

impl CredentialDescriptor {
    fn all(known: &[Stored]) -> Vec<Self> {
        let one = |passkey: &Stored| {
            let transports = passkey.credential.transports.iter().flatten().filter_map(hint).collect();
            Self { r#type: PUBLIC_KEY, id: encoded(&passkey.credential.cred_id), transports }
        };
        known.iter().map(one).collect()
    }
}

impl CreationOptions {
    pub(super) fn of(asked: &PublicKeyCredentialCreationOptions, known: &[Stored]) -> Self {
        Self {
            rp: RelyingPartyEntity { id: asked.rp.id.clone(), name: asked.rp.name.clone() },
            user: UserEntity { id: encoded(&asked.user.id), name: asked.user.name.clone(), display_name: asked.user.display_name.clone() },
            challenge: encoded(&asked.challenge),
            pub_key_cred_params: asked.pub_key_cred_params.iter().map(|one| CredentialParameters { r#type: PUBLIC_KEY, alg: one.alg }).collect(),
            timeout: asked.timeout.unwrap_or_default(),
            exclude_credentials: CredentialDescriptor::all(known),
            authenticator_selection: AuthenticatorSelection { resident_key: REQUIRED, require_resident_key: true, user_verification: REQUIRED },
            attestation: "none",
            extensions: CreationExtensions {
                cred_props: true,
                credential_protection_policy: "userVerificationRequired",
                enforce_credential_protection_policy: false,
            },
        }
    }
}

impl RequestOptions {
    pub(super) fn of(asked: &PublicKeyCredentialRequestOptions, known: &[Stored]) -> Self {
        Self {
            challenge: encoded(&asked.challenge),
            timeout: asked.timeout.unwrap_or_default(),
            rp_id: asked.rp_id.clone(),
            allow_credentials: CredentialDescriptor::all(known),
            user_verification: REQUIRED,
        }
    }
}
