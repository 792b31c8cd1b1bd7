//! Signatures of the Standard Webhooks specification 1.0.0: HMAC-SHA256 (`v1`) and Ed25519 (`v1a`) over `{id}.{timestamp}.{raw body}`.
//!
//! Protects against forged and altered messages (practice 11.signature): what is compared is computed from the bytes as they came, in
//! constant time, by the keys that a source is known by; which key it is never comes from the message. Id and timestamp have one spelling
//! each, without a full stop, so that no two messages sign the same bytes. Attacks: `tests/suite/attacks/s11_webhooks/`.

mod key;

pub use key::{PublicKey, Secret, SigningKey};

use crate::platform::crypto::{self, Unsealable};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::{fmt, str::FromStr};
use time::OffsetDateTime;

/// The header with the message's id: the same at each attempt to deliver it.
pub const ID: &str = "webhook-id";
/// The header with the time of the attempt, in whole seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The header with the signatures.
pub const SIGNATURE: &str = "webhook-signature";

/// Most signatures in one header. Two keys of two kinds, while they are replaced, make four; each one more would be work for nothing.
pub const MAX_SIGNATURES: usize = 8;

/// Longest id of a message, in bytes.
pub const MAX_ID: usize = 100;

/// The id of a message: 1 to 100 of `A-Za-z0-9_:-`. Without a full stop, which ends it in what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageId(String);

impl MessageId {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MessageId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let is_fine = (1..=MAX_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:-".contains(&byte));
        if is_fine { Ok(Self(text.to_owned())) } else { Err("must be 1 to 100 of A-Z, a-z, 0-9, _, : and -") }
    }
}

/// When a delivery was tried: whole seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Seconds since 1970.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0
    }

    /// Whether it is so near to now, to the second, that a message may still count; as far ahead as behind, for clocks differ.
    #[must_use]
    pub fn is_within(self, tolerance: time::Duration, now: OffsetDateTime) -> bool {
        self.0.abs_diff(now.unix_timestamp()) <= tolerance.whole_seconds().unsigned_abs()
    }
}

impl From<OffsetDateTime> for Timestamp {
    fn from(at: OffsetDateTime) -> Self {
        Self(at.unix_timestamp())
    }
}

/// One spelling only: another one of the same number would be other bytes under the signature.
impl FromStr for Timestamp {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let is_plain = (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        let seconds = if is_plain { text.parse().ok() } else { None };
        seconds.map(Self).ok_or("must be whole seconds since 1970, in 1 to 12 digits")
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is signed.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// Which message it is.
    pub id: &'a MessageId,
    /// When this attempt was made.
    pub timestamp: Timestamp,
    /// The body, byte by byte: what a parser made of it and wrote again would be another one.
    pub body: &'a [u8],
}

/// No key that is known made any of the signatures, or there are none, or too many. Deliberately says no more.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no signature of a known key")]
pub struct Unverified;

impl Message<'_> {
    fn head(&self) -> String {
        format!("{}.{}.", self.id.as_str(), self.timestamp)
    }

    fn mac(&self, secret: &Secret) -> [u8; 32] {
        crypto::hmac_sha256(secret.bytes(), &[self.head().as_bytes(), self.body])
    }

    fn whole(&self) -> Vec<u8> {
        [self.head().as_bytes(), self.body].concat()
    }

    /// One entry of the header, `v1,…`: several are joined by a space.
    #[must_use]
    pub fn sign(&self, secret: &Secret) -> String {
        format!("v1,{}", STANDARD.encode(self.mac(secret)))
    }

    /// One entry of the header, `v1a,…`.
    ///
    /// # Errors
    /// [`Unsealable`] when the library refuses, which it does for no key of this length.
    pub fn sign_by_key(&self, key: &SigningKey) -> Result<String, Unsealable> {
        Ok(format!("v1a,{}", STANDARD.encode(crypto::sign(key.seed(), &self.whole())?)))
    }

    /// Whether one of the signatures in the header is of one of these. Entries of other kinds are passed over, as the specification wants;
    /// where there are public keys only, `v1` is another kind. All are compared, whichever fits.
    ///
    /// # Errors
    /// [`Unverified`].
    pub fn verify(&self, header: &str, secrets: &[Secret], keys: &[PublicKey]) -> Result<(), Unverified> {
        if header.split(' ').count() > MAX_SIGNATURES {
            return Err(Unverified);
        }
        let of_kind = |kind: &str| -> Vec<Vec<u8>> {
            let texts = header.split(' ').filter_map(|entry| entry.split_once(',')).filter(|(version, _)| *version == kind);
            texts.filter_map(|(_, text)| STANDARD.decode(text).ok()).collect()
        };
        let mut is_known = false;
        let macs = of_kind("v1");
        for secret in secrets {
            let expected = self.mac(secret);
            is_known |= macs.iter().fold(false, |found, given| found | crypto::equal(given, &expected));
        }
        let signatures = of_kind("v1a");
        if !signatures.is_empty() && !keys.is_empty() {
            let whole = self.whole();
            is_known |= keys.iter().any(|key| signatures.iter().any(|given| crypto::is_signed(key.bytes(), &whole, given)));
        }
        if is_known { Ok(()) } else { Err(Unverified) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of the specification's own libraries.
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const V1: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const KEY: &str = "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=";
    const V1A: &str = "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==";

    fn with<T>(body: &[u8], look: impl FnOnce(Message<'_>) -> T) -> T {
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek".parse().unwrap();
        look(Message { id: &id, timestamp: "1614265330".parse().unwrap(), body })
    }

    #[test]
    fn the_published_vectors_hold() {
        let (secret, key): (Secret, SigningKey) = (SECRET.parse().unwrap(), KEY.parse().unwrap());
        let public = key.public().unwrap();
        with(BODY, |message| {
            assert_eq!(message.sign(&secret), V1);
            assert_eq!(message.sign_by_key(&key).unwrap(), V1A);
            assert_eq!(message.verify(V1, std::slice::from_ref(&secret), &[]), Ok(()));
            assert_eq!(message.verify(V1A, &[], std::slice::from_ref(&public)), Ok(()));
        });
    }

    #[test]
    fn one_good_signature_among_a_few_is_enough_and_a_flood_is_none() {
        let secrets = [SECRET.parse().unwrap()];
        let other = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=";
        with(BODY, |message| {
            assert_eq!(message.verify(&format!("{other} v2,x v1,! {V1} {other}"), &secrets, &[]), Ok(()));
            let flood = |others: usize| format!("{}{V1}", format!("{other} ").repeat(others));
            assert_eq!(message.verify(&flood(MAX_SIGNATURES - 1), &secrets, &[]), Ok(()));
            assert_eq!(message.verify(&flood(MAX_SIGNATURES), &secrets, &[]), Err(Unverified));
        });
    }

    #[test]
    fn what_is_altered_or_of_another_kind_is_refused() {
        let (secret, key): (Secret, SigningKey) = (SECRET.parse().unwrap(), KEY.parse().unwrap());
        let (secrets, keys) = ([secret], [key.public().unwrap()]);
        let refused = |message: Message<'_>, header: &str| assert_eq!(message.verify(header, &secrets, &keys), Err(Unverified), "{header}");
        with(br#"{"test": 2432232315}"#, |message| [V1, V1A].into_iter().for_each(|header| refused(message, header)));
        with(BODY, |message| {
            for header in ["", "v1", "v1,", &V1[3..], &V1[..20], &V1.replace("v1", "v1a"), &V1A.replace("v1a", "v1"), &V1.replace("v1", "v2")] {
                refused(message, header);
            }
            // no secret, no `v1`: the public key is public, and must not be one
            assert_eq!(message.verify(V1, &[], &keys), Err(Unverified));
            let public_as_secret: Secret = keys[0].to_string().replace("whpk_", "whsec_").parse().unwrap();
            assert_eq!(message.verify(&message.sign(&public_as_secret), &[], &keys), Err(Unverified));
        });
    }

    #[test]
    fn ids_and_timestamps_have_one_spelling() {
        for id in ["", "a.b", "a b", "é", &"a".repeat(MAX_ID + 1)] {
            assert!(id.parse::<MessageId>().is_err(), "{id}");
        }
        for timestamp in ["", "01614265330", "+1614265330", "-1", "1614265330.0", " 1614265330", "1614265330000", "0"] {
            assert!(timestamp.parse::<Timestamp>().is_err(), "{timestamp}");
        }
        let at = |seconds: i32| OffsetDateTime::from_unix_timestamp(1_614_265_330 + i64::from(seconds)).unwrap();
        let timestamp: Timestamp = "1614265330".parse().unwrap();
        let is_within = |seconds| timestamp.is_within(time::Duration::minutes(5), at(seconds));
        assert_eq!([-301, -300, 0, 300, 301].map(is_within), [false, true, true, true, false]);
    }
}
