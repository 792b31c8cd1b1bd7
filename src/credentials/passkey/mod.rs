//! Passkeys (WebAuthn Level 3): key pairs that a person's devices keep, each for this service alone. A page that looks like ours gets a
//! signature that is worth nothing here, and there is no secret of ours that could be stolen: what is stored only verifies.
//!
//! Whoever uses one was verified by the device (PIN, finger, face), so that one passkey is two factors. The challenge that is signed is part
//! of a sealed state that is spent once; its life is counted by our clock, not by the browser's. A counter that goes back tells of a copy and
//! refuses. What a device says of its make is not asked for and not kept.
//! Practice 10.mfa. Attacks: `tests/suite/attacks/s10_access_control/`.

pub mod options;
pub mod store;

use crate::accounts::Account;
use options::{CreationOptions, RequestOptions};
use serde::{Deserialize, Serialize};
use store::Stored;
use time::Duration;
use url::Url;
use uuid::Uuid;
use webauthn_rs::{
    Webauthn, WebauthnBuilder,
    prelude::{
        AttestationFormat, Credential, CredentialID, DiscoverableAuthentication, ParsedAttestation, Passkey, PasskeyRegistration, WebauthnError,
    },
};
use webauthn_rs_proto::{
    AuthenticatorAssertionResponseRaw, AuthenticatorAttestationResponseRaw, AuthenticatorTransport, PublicKeyCredential, RegisterPublicKeyCredential,
};

/// Most passkeys of one account: a browser is told all of them, and each is a way in.
pub const MAX_PASSKEYS: usize = 20;

/// Longest credential id in bytes (WebAuthn §4).
pub const MAX_CREDENTIAL_ID: usize = 1023;

/// The kind of credential, in what browsers are told and tell.
const PUBLIC_KEY: &str = "public-key";

/// Why an answer was not taken. Callers learn only that it was not.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyError {
    /// Of another site, challenge or key, without user verification, or not to be read.
    #[error("refused: {0}")]
    Refused(WebauthnError),
    /// Everything is right, but the device's counter went back: somebody has a copy of the key.
    #[error("the counter went back")]
    Cloned,
}

impl From<WebauthnError> for PasskeyError {
    fn from(error: WebauthnError) -> Self {
        match error {
            WebauthnError::CredentialPossibleCompromise => Self::Cloned,
            other => Self::Refused(other),
        }
    }
}

/// This service, as passkeys know it: its host and its origin, and nobody else's.
#[derive(Debug)]
pub struct RelyingParty {
    webauthn: Webauthn,
    origin: String,
}

/// A registration that has begun.
#[derive(Serialize, Deserialize)]
pub struct Registration(PasskeyRegistration);

/// A question that a passkey is to answer.
#[derive(Serialize, Deserialize)]
pub struct Question {
    asked: DiscoverableAuthentication,
    /// Whose passkey was asked for; `None`: whoever has one.
    of: Option<Uuid>,
}

/// What a browser sends when a passkey was made.
pub struct Made {
    /// The credential's id.
    pub id: Vec<u8>,
    /// What the browser says it did.
    pub client_data: Vec<u8>,
    /// The new public key, and what the device says of it.
    pub attestation: Vec<u8>,
    /// How the device is reached. A hint for the next time.
    pub transports: Vec<String>,
    /// Whether it is found without its id, as far as the browser knows.
    pub is_discoverable: Option<bool>,
}

/// What a browser sends when a passkey was used.
pub struct Shown {
    /// The credential's id.
    pub id: Vec<u8>,
    /// What the browser says it did.
    pub client_data: Vec<u8>,
    /// What the device says of itself: for which site, whether it verified its user, its counter.
    pub authenticator_data: Vec<u8>,
    /// Over both.
    pub signature: Vec<u8>,
    /// Whose it is, by what the device keeps.
    pub user_handle: Option<Vec<u8>>,
}

/// A passkey that was made, to be stored.
pub struct NewPasskey(Credential);

/// A passkey that was used, to be noted.
pub struct Used {
    id: Uuid,
    account: Uuid,
    credential: Credential,
}

impl RelyingParty {
    /// The service at this origin, whose questions can be answered for so long. The host is what passkeys belong to: whoever moves the
    /// service to another one begins anew.
    ///
    /// # Errors
    /// A reason for the operator.
    pub fn of(origin: &str, lifetime: Duration) -> Result<Self, &'static str> {
        const NAMELESS: &str = "must have a name for a host, not an address: passkeys belong to a name";
        let url = Url::parse(origin).map_err(|_| NAMELESS)?;
        let host = url.domain().ok_or(NAMELESS)?;
        let builder = WebauthnBuilder::new(host, &url).map_err(|_| NAMELESS)?;
        let timeout = lifetime.try_into().map_err(|_| NAMELESS)?;
        let webauthn = builder.allow_subdomains(false).allow_any_port(false).timeout(timeout).build().map_err(|_| NAMELESS)?;
        Ok(Self { webauthn, origin: origin.to_owned() })
    }

    /// Asks for a new passkey of this account, on a device that has none of these yet.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub fn invite(&self, owner: &Account, known: &[Stored]) -> Result<(CreationOptions, Registration), PasskeyError> {
        let ids: Vec<CredentialID> = known.iter().map(|passkey| passkey.credential.cred_id.clone()).collect();
        let (asked, registration) = self.webauthn.start_passkey_registration(owner.id.0, &owner.email, &owner.name, Some(ids))?;
        Ok((CreationOptions::of(&asked.public_key, known), Registration(registration)))
    }

    /// Judges what came back.
    ///
    /// # Errors
    /// [`PasskeyError::Refused`].
    pub fn accept(&self, registration: &Registration, made: Made) -> Result<NewPasskey, PasskeyError> {
        self.look_at_client_data(&made.client_data)?;
        if made.id.len() > MAX_CREDENTIAL_ID || made.is_discoverable == Some(false) {
            return Err(PasskeyError::Refused(WebauthnError::CredentialNotFound));
        }
        let id = made.id.clone();
        let made = RegisterPublicKeyCredential {
            id: String::new(),
            raw_id: made.id,
            response: AuthenticatorAttestationResponseRaw {
                attestation_object: made.attestation,
                client_data_json: made.client_data,
                transports: Some(made.transports.iter().filter_map(|name| name.parse::<AuthenticatorTransport>().ok()).collect()),
            },
            type_: PUBLIC_KEY.into(),
            extensions: Default::default(),
        };
        let mut credential = Credential::from(self.webauthn.finish_passkey_registration(&made, &registration.0)?);
        // the one that counts is in what the device made; the browser's must be the same
        if credential.cred_id != id {
            return Err(PasskeyError::Refused(WebauthnError::CredentialNotFound));
        }
        (credential.attestation, credential.attestation_format) = (ParsedAttestation::default(), AttestationFormat::None);
        Ok(NewPasskey(credential))
    }

    /// Asks for one of these passkeys, of this account; or whoever is there for any.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub fn ask(&self, of: Option<(Uuid, &[Stored])>) -> Result<(RequestOptions, Question), PasskeyError> {
        let (asked, state) = self.webauthn.start_discoverable_authentication()?;
        let (of, known) = of.unzip();
        Ok((RequestOptions::of(&asked.public_key, known.unwrap_or_default()), Question { asked: state, of }))
    }

    /// Judges the answer to a question with the passkey that it names.
    ///
    /// # Errors
    /// [`PasskeyError`].
    pub fn verify(&self, question: Question, passkey: Stored, shown: Shown) -> Result<Used, PasskeyError> {
        self.look_at_client_data(&shown.client_data)?;
        let is_asked = question.of.is_none_or(|account| account == passkey.account);
        // where nobody was named beforehand the device has to say whose passkey it is (WebAuthn §7.2, step 6)
        let is_owned = match &shown.user_handle {
            Some(handle) => handle == passkey.account.as_bytes(),
            None => question.of.is_some(),
        };
        if !is_asked || !is_owned {
            return Err(PasskeyError::Refused(WebauthnError::InvalidUserUniqueId));
        }
        let shown = PublicKeyCredential {
            id: String::new(),
            raw_id: shown.id,
            response: AuthenticatorAssertionResponseRaw {
                authenticator_data: shown.authenticator_data,
                client_data_json: shown.client_data,
                signature: shown.signature,
                user_handle: shown.user_handle,
            },
            extensions: Default::default(),
            type_: PUBLIC_KEY.into(),
        };
        let Stored { id, account, credential } = passkey;
        let result = self.webauthn.finish_discoverable_authentication_v2(&shown, question.asked, &credential)?;
        let mut credential = Passkey::from(credential);
        credential.update_credential(&result);
        Ok(Used { id, account, credential: credential.into() })
    }

    /// What the library does not look at when a passkey is used, or reads more widely: the origin to the letter, and that our page was not
    /// shown within another one.
    fn look_at_client_data(&self, client_data: &[u8]) -> Result<(), PasskeyError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct ClientData {
            origin: String,
            #[serde(default)]
            cross_origin: bool,
        }
        let data: ClientData = serde_json::from_slice(client_data).map_err(|error| PasskeyError::Refused(WebauthnError::ParseJSONFailure(error)))?;
        if data.origin != self.origin {
            return Err(PasskeyError::Refused(WebauthnError::InvalidRPOrigin));
        }
        if data.cross_origin { Err(PasskeyError::Refused(WebauthnError::CredentialCrossOrigin)) } else { Ok(()) }
    }
}

impl Used {
    /// Names the passkey.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_belong_to_a_name() {
        let is_name = |origin| RelyingParty::of(origin, Duration::MINUTE).is_ok();
        assert!(is_name("https://localhost:8443") && is_name("https://a.example"));
        for origin in ["https://127.0.0.1:8443", "https://[::1]", "", "a.example"] {
            assert!(!is_name(origin), "{origin}");
        }
    }
}
