//! What a browser sends of a passkey, as `PublicKeyCredential.toJSON()` writes it: bounded part by part, and read as little of as is
//! needed. Practices 3.schema, 10.mfa. Attacks: `tests/suite/attacks/s10_access_control/`.

#![expect(non_snake_case, reason = "members as WebAuthn names them: by these a refusal says where the fault is")]

use crate::{
    credentials::passkey::{Made, Shown},
    edge::valid::{Field, Object},
    error::ApiError,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use garde::Validate;
use serde::{Deserialize, de::IgnoredAny};
use std::str::FromStr;
use utoipa::ToSchema;

/// Bytes, sent in base64url without padding, at most so many.
pub struct Bytes<const MAX: usize>(Vec<u8>);

impl<const MAX: usize> FromStr for Bytes<MAX> {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() || text.len() > MAX.div_ceil(3) * 4 {
            return Err("is empty or too long");
        }
        URL_SAFE_NO_PAD.decode(text).map(Self).map_err(|_| "is no base64url without padding")
    }
}

/// A name of a closed list that grows: read, and passed over where it is not known.
pub struct Word(String);

impl FromStr for Word {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let is_one = (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if is_one { Ok(Self(text.to_owned())) } else { Err("is no short name of lower-case letters") }
    }
}

/// The only kind of credential.
#[derive(Clone, Copy, Deserialize, ToSchema)]
pub enum CredentialType {
    /// A key pair.
    #[serde(rename = "public-key")]
    PublicKey,
}

const ID: usize = 1023;
const CLIENT_DATA: usize = 4096;
const ATTESTATION: usize = 16_384;
const AUTHENTICATOR_DATA: usize = 4096;
const KEY: usize = 2048;
const SIGNATURE: usize = 2048;
const HANDLE: usize = 64;

/// A credential's id, base64url.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 1364, pattern = "^[A-Za-z0-9_-]+$", example = "AAAA")]
#[expect(dead_code, reason = "described, never made")]
pub struct CredentialId(String);

/// What the browser says it did, as JSON, base64url.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 5464, pattern = "^[A-Za-z0-9_-]+$", example = "AAAA")]
#[expect(dead_code, reason = "described, never made")]
pub struct ClientDataJson(String);

/// The new public key and what the device says of it, as CBOR, base64url.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 21848, pattern = "^[A-Za-z0-9_-]+$", example = "AAAA")]
#[expect(dead_code, reason = "described, never made")]
pub struct AttestationObject(String);

/// What the device says of itself, base64url.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 5464, pattern = "^[A-Za-z0-9_-]+$", example = "AAAA")]
#[expect(dead_code, reason = "described, never made")]
pub struct AuthenticatorData(String);

/// A public key, DER, base64url.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 2732, pattern = "^[A-Za-z0-9_-]+$", example = "AAAA")]
#[expect(dead_code, reason = "described, never made")]
pub struct PublicKeyBytes(String);

/// A signature, base64url.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 2732, pattern = "^[A-Za-z0-9_-]+$", example = "AAAA")]
#[expect(dead_code, reason = "described, never made")]
pub struct SignatureBytes(String);

/// The account's id, as the device keeps it, base64url.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 88, pattern = "^[A-Za-z0-9_-]+$", example = "AAAA")]
#[expect(dead_code, reason = "described, never made")]
pub struct UserHandle(String);

/// A word of a list of WebAuthn.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 32, pattern = "^[a-z0-9-]+$", example = "internal")]
#[expect(dead_code, reason = "described, never made")]
pub struct WebAuthnWord(String);

/// A passkey that was made (`RegistrationResponseJSON`).
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read by serde, to be of the right kind")]
pub struct NewCredential {
    #[garde(dive)]
    #[schema(value_type = CredentialId)]
    id: Field<Bytes<ID>>,
    /// The same.
    #[garde(dive)]
    #[schema(value_type = CredentialId)]
    rawId: Field<Bytes<ID>>,
    #[garde(skip)]
    r#type: CredentialType,
    #[garde(dive)]
    #[schema(value_type = AttestationResponse)]
    response: Object<AttestationResponse>,
    /// Whether the device is part of the computer.
    #[garde(dive)]
    #[schema(value_type = Option<WebAuthnWord>)]
    authenticatorAttachment: Option<Field<Word>>,
    /// What the browser answers to what else it was asked.
    #[garde(skip)]
    #[serde(default)]
    #[schema(value_type = ExtensionResults, required = false)]
    clientExtensionResults: Option<Object<ExtensionResults>>,
}

/// What came of making it.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read by serde, to be of the right kind")]
pub struct AttestationResponse {
    #[garde(dive)]
    #[schema(value_type = ClientDataJson)]
    clientDataJSON: Field<Bytes<CLIENT_DATA>>,
    #[garde(dive)]
    #[schema(value_type = AttestationObject)]
    attestationObject: Field<Bytes<ATTESTATION>>,
    /// How the device is reached.
    #[garde(dive, length(max = 10))]
    #[serde(default)]
    #[schema(value_type = Vec<WebAuthnWord>, max_items = 10, required = false)]
    transports: Vec<Field<Word>>,
    /// Part of the attestation object; not looked at.
    #[garde(dive)]
    #[schema(value_type = Option<AuthenticatorData>)]
    authenticatorData: Option<Field<Bytes<AUTHENTICATOR_DATA>>>,
    /// Part of the attestation object; not looked at.
    #[garde(dive)]
    #[schema(value_type = Option<PublicKeyBytes>)]
    publicKey: Option<Field<Bytes<KEY>>>,
    /// Part of the attestation object; not looked at.
    #[garde(skip)]
    #[schema(minimum = -70000, maximum = 0)]
    publicKeyAlgorithm: Option<i64>,
}

/// What the browser answers to what else it was asked. More members may come; they are passed over.
#[derive(Deserialize, ToSchema)]
pub struct ExtensionResults {
    #[schema(value_type = Option<CredentialProperties>)]
    credProps: Option<Object<CredentialProperties>>,
}

/// What is known of the new passkey.
#[derive(Deserialize, ToSchema)]
pub struct CredentialProperties {
    /// Whether it is found without its id.
    rk: Option<bool>,
}

/// A passkey that was used (`AuthenticationResponseJSON`).
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read by serde, to be of the right kind")]
pub struct ShownCredential {
    #[garde(dive)]
    #[schema(value_type = CredentialId)]
    id: Field<Bytes<ID>>,
    /// The same.
    #[garde(dive)]
    #[schema(value_type = CredentialId)]
    rawId: Field<Bytes<ID>>,
    #[garde(skip)]
    r#type: CredentialType,
    #[garde(dive)]
    #[schema(value_type = AssertionResponse)]
    response: Object<AssertionResponse>,
    /// Whether the device is part of the computer.
    #[garde(dive)]
    #[schema(value_type = Option<WebAuthnWord>)]
    authenticatorAttachment: Option<Field<Word>>,
    /// Nothing else is asked when a passkey is used; not looked at.
    #[garde(skip)]
    #[serde(default)]
    #[schema(value_type = ExtensionResults, required = false)]
    clientExtensionResults: Option<Object<Anything>>,
}

/// An object that is not looked at.
#[derive(Deserialize)]
struct Anything {
    #[serde(flatten)]
    _any: std::collections::HashMap<String, IgnoredAny>,
}

/// What came of using it.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssertionResponse {
    #[garde(dive)]
    #[schema(value_type = ClientDataJson)]
    clientDataJSON: Field<Bytes<CLIENT_DATA>>,
    #[garde(dive)]
    #[schema(value_type = AuthenticatorData)]
    authenticatorData: Field<Bytes<AUTHENTICATOR_DATA>>,
    #[garde(dive)]
    #[schema(value_type = SignatureBytes)]
    signature: Field<Bytes<SIGNATURE>>,
    #[garde(dive)]
    #[schema(value_type = Option<UserHandle>)]
    userHandle: Option<Field<Bytes<HANDLE>>>,
    /// Of the time when it was made; not looked at.
    #[garde(dive)]
    #[schema(value_type = Option<AttestationObject>)]
    attestationObject: Option<Field<Bytes<ATTESTATION>>>,
}

fn same(field: &str, id: Field<Bytes<ID>>, raw: Field<Bytes<ID>>) -> Result<Vec<u8>, ApiError> {
    let name = format!("{field}.id");
    let (Bytes(id), Bytes(raw)) = (id.take(&name)?, raw.take(&name)?);
    if id == raw { Ok(raw) } else { Err(ApiError::invalid_field(&name, "is not the same as rawId")) }
}

impl NewCredential {
    /// What is needed of it.
    ///
    /// # Errors
    /// The refusal of a field.
    pub(super) fn take(self) -> Result<Made, ApiError> {
        let Object(response) = self.response;
        let extensions = self.clientExtensionResults.map(|Object(results)| results);
        let properties = extensions.and_then(|results| results.credProps).map(|Object(properties)| properties);
        let transports = response.transports.into_iter().map(|word| word.take("credential.response.transports").map(|Word(word)| word));
        Ok(Made {
            id: same("credential", self.id, self.rawId)?,
            client_data: response.clientDataJSON.take("credential.response.clientDataJSON")?.0,
            attestation: response.attestationObject.take("credential.response.attestationObject")?.0,
            transports: transports.collect::<Result<_, _>>()?,
            is_discoverable: properties.and_then(|properties| properties.rk),
        })
    }
}

impl ShownCredential {
    /// What is needed of it, from this field of the body.
    ///
    /// # Errors
    /// The refusal of a field.
    pub(in crate::api) fn take(self, field: &str) -> Result<Shown, ApiError> {
        let Object(response) = self.response;
        let part = |name: &str| format!("{field}.response.{name}");
        let handle = response.userHandle.map(|handle| handle.take(&part("userHandle"))).transpose()?;
        Ok(Shown {
            id: same(field, self.id, self.rawId)?,
            client_data: response.clientDataJSON.take(&part("clientDataJSON"))?.0,
            authenticator_data: response.authenticatorData.take(&part("authenticatorData"))?.0,
            signature: response.signature.take(&part("signature"))?.0,
            user_handle: handle.map(|Bytes(handle)| handle),
        })
    }
}
