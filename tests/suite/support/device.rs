//! A device with passkeys, in software: makes and uses them as a browser does, and lies where it is told to.

use super::people::{Actor, Answer};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis::platform::crypto::{random, sha256};
use serde_json::{Value, json};

pub const USER_PRESENT: u8 = 0x01;
pub const USER_VERIFIED: u8 = 0x04;
pub const BACKUP_ELIGIBLE: u8 = 0x08;
pub const BACKED_UP: u8 = 0x10;
const WITH_CREDENTIAL: u8 = 0x40;

/// One passkey: its key and what the device keeps with it.
#[derive(Clone)]
pub struct Key {
    pub id: Vec<u8>,
    pub user_handle: Vec<u8>,
    pub counter: u32,
    pkcs8: Vec<u8>,
}

/// A device in the browser of somebody who is at `origin`.
#[derive(Clone)]
pub struct Device {
    /// Where the browser is.
    pub origin: String,
    /// For which site the device signs; by the options where this is `None`.
    pub rp_id: Option<String>,
    pub flags: u8,
    /// What the counter rises by with each use; 0: a device that does not count.
    pub step: u32,
    pub cross_origin: bool,
    /// Sends no user handle.
    pub is_silent: bool,
    pub keys: Vec<Key>,
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn decoded(text: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.as_str().expect("a text")).expect("base64url")
}

/// A byte string in CBOR.
fn cbor_bytes(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    [&[0x59][..], &length.to_be_bytes(), bytes].concat()
}

/// A short text in CBOR.
fn cbor_text(text: &str) -> Vec<u8> {
    [&[0x60 + u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

impl Device {
    pub fn at(origin: &str) -> Self {
        Self {
            origin: origin.into(),
            rp_id: None,
            flags: USER_PRESENT | USER_VERIFIED,
            step: 1,
            cross_origin: false,
            is_silent: false,
            keys: Vec::new(),
        }
    }

    fn client_data(&self, kind: &str, challenge: &Value) -> Vec<u8> {
        let data = json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": self.cross_origin });
        data.to_string().into_bytes()
    }

    fn authenticator_data(&self, rp_id: &Value, flags: u8, counter: u32) -> Vec<u8> {
        let rp_id = self.rp_id.as_deref().unwrap_or_else(|| rp_id.as_str().expect("an rp id"));
        [&sha256(rp_id.as_bytes())[..], &[flags], &counter.to_be_bytes()].concat()
    }

    /// `navigator.credentials.create()`, and its answer as JSON.
    pub fn create(&mut self, options: &Value) -> Value {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new()).unwrap().as_ref().to_vec();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8).unwrap();
        let key = Key { id: random::<32>().to_vec(), user_handle: decoded(&options["user"]["id"]), counter: 0, pkcs8 };
        let answer = self.attest(options, &key.id, pair.public_key().as_ref());
        self.keys.push(key);
        answer
    }

    /// An answer that claims this id for this point of P-256.
    pub fn attest(&self, options: &Value, id: &[u8], point: &[u8]) -> Value {
        // {1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y}
        let public_key = [&[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21][..], &cbor_bytes(&point[1..33]), &[0x22], &cbor_bytes(&point[33..65])].concat();
        let head = self.authenticator_data(&options["rp"]["id"], self.flags | WITH_CREDENTIAL, 0);
        let length = u16::try_from(id.len()).unwrap().to_be_bytes();
        let data = [&head[..], &[0; 16], &length, id, &public_key].concat();
        let attestation =
            [&[0xa3][..], &cbor_text("fmt"), &cbor_text("none"), &cbor_text("attStmt"), &[0xa0], &cbor_text("authData"), &cbor_bytes(&data)].concat();
        json!({
            "id": encoded(id),
            "rawId": encoded(id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "response": {
                "clientDataJSON": encoded(&self.client_data("webauthn.create", &options["challenge"])),
                "attestationObject": encoded(&attestation),
                "authenticatorData": encoded(&data),
                "transports": ["internal", "hybrid"],
                "publicKeyAlgorithm": -7,
            },
            "clientExtensionResults": { "credProps": { "rk": true } },
        })
    }

    /// `navigator.credentials.get()`, and its answer as JSON: with the first passkey that is allowed, or the newest.
    pub fn get(&mut self, options: &Value) -> Value {
        let allowed: Vec<Vec<u8>> = options["allowCredentials"].as_array().into_iter().flatten().map(|one| decoded(&one["id"])).collect();
        let at = self.keys.iter().rposition(|key| allowed.is_empty() || allowed.contains(&key.id)).expect("a passkey");
        self.keys[at].counter += self.step;
        self.show(options, &self.keys[at])
    }

    /// The answer with this passkey, allowed or not.
    pub fn show(&self, options: &Value, key: &Key) -> Value {
        let data = self.authenticator_data(&options["rpId"], self.flags, key.counter);
        let client_data = self.client_data("webauthn.get", &options["challenge"]);
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &key.pkcs8).unwrap();
        let signature = pair.sign(&SystemRandom::new(), &[&data[..], &sha256(&client_data)].concat()).unwrap();
        let mut answer = json!({
            "id": encoded(&key.id),
            "rawId": encoded(&key.id),
            "type": "public-key",
            "response": {
                "clientDataJSON": encoded(&client_data),
                "authenticatorData": encoded(&data),
                "signature": encoded(signature.as_ref()),
            },
            "clientExtensionResults": {},
        });
        if !self.is_silent {
            answer["response"]["userHandle"] = json!(encoded(&key.user_handle));
        }
        answer
    }
}

impl Key {
    /// The public point, uncompressed.
    pub fn point(&self) -> Vec<u8> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.pkcs8).unwrap();
        pair.public_key().as_ref().to_vec()
    }
}

impl Actor<'_> {
    /// Adds a passkey on this device, as a page does.
    pub async fn add_passkey(&mut self, device: &mut Device, name: &str) -> Answer {
        if self.get("/v1/me/mfa").await.json()["is_on"] == false {
            self.agree_by_mail().await;
        }
        let begun = self.post("/v1/me/passkeys/options", json!({})).await;
        assert_eq!(begun.status, 200, "{}", begun.text);
        let credential = device.create(&begun.json()["options"]);
        let body = json!({ "token": begun.json()["token"], "name": name, "credential": credential });
        let added = self.post("/v1/me/passkeys", body).await;
        if added.status == 201 {
            self.renew(&added, &added.json()["session"]);
        }
        added
    }

    /// Options for whoever has a passkey.
    pub async fn passkey_options(&self) -> Value {
        let begun = self.post("/v1/auth/passkeys/options", json!({})).await;
        assert_eq!(begun.status, 200, "{}", begun.text);
        begun.json()
    }

    /// Shows a passkey as the answer to these.
    pub async fn show_passkey(&self, begun: &Value, credential: Value) -> Answer {
        self.post("/v1/auth/passkeys/login", json!({ "token": begun["token"], "credential": credential })).await
    }

    /// Signs in with a passkey of this device, as a page does.
    pub async fn passkey_sign_in(&mut self, device: &mut Device) -> Answer {
        let begun = self.passkey_options().await;
        let answer = self.show_passkey(&begun, device.get(&begun["options"])).await;
        if answer.status == 200 {
            self.renew(&answer, &answer.json());
        }
        answer
    }

    /// Shows a passkey of this device once more.
    pub async fn passkey_step_up(&mut self, device: &mut Device) -> Answer {
        let begun = self.post("/v1/auth/step-up/options", json!({})).await;
        assert_eq!(begun.status, 200, "{}", begun.text);
        let passkey = device.get(&begun.json()["options"]);
        let answer = self.post("/v1/auth/step-up", json!({ "passkey_token": begun.json()["token"], "passkey": passkey })).await;
        if answer.status == 200 {
            self.renew(&answer, &answer.json());
        }
        answer
    }
}
