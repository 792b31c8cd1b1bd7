//! The keys of webhooks as people hand them on: `whsec_` (a secret of both sides), `whsk_` (an Ed25519 key of who signs) and `whpk_` (its
//! public half). The prefix says what it is, so that one kind is never taken for another (practices 11.signature, 2.no-plaintext).

use crate::platform::crypto::{self, Unsealable};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use std::{fmt, str::FromStr};
use zeroize::Zeroizing;

/// Lengths of a secret in bytes, by the specification: 192 to 512 bits.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret that both sides know. Not to be printed.
#[derive(Debug)]
pub struct Secret(SecretSlice<u8>);

impl Secret {
    /// A fresh one of 256 bits.
    #[must_use]
    pub fn generate() -> Self {
        Self(crypto::random::<32>().to_vec().into())
    }

    /// As it is handed on: `whsec_…`, once, over a safe way.
    #[must_use]
    pub fn text(&self) -> SecretString {
        format!("whsec_{}", STANDARD.encode(self.bytes())).into()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl FromStr for Secret {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let bytes = text.strip_prefix("whsec_").and_then(|rest| STANDARD.decode(rest).ok()).filter(|bytes| LENGTHS.contains(&bytes.len()));
        bytes.map(|bytes| Self(bytes.into())).ok_or("must be whsec_ and the base64 of 24 to 64 bytes")
    }
}

/// An Ed25519 key that signs. Not to be printed.
pub struct SigningKey(Zeroizing<[u8; 32]>);

impl SigningKey {
    /// A fresh one.
    #[must_use]
    pub fn generate() -> Self {
        Self(Zeroizing::new(crypto::random()))
    }

    /// As it is kept: `whsk_…`. It leaves this service only sealed.
    #[must_use]
    pub fn text(&self) -> SecretString {
        format!("whsk_{}", STANDARD.encode(self.seed())).into()
    }

    /// What others verify with.
    ///
    /// # Errors
    /// [`Unsealable`] when the library refuses, which it does for no key of this length.
    pub fn public(&self) -> Result<PublicKey, Unsealable> {
        crypto::public_key(self.seed()).map(PublicKey)
    }

    pub(super) fn seed(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey([REDACTED])")
    }
}

/// The seed of RFC 8032 alone, or followed by its public half, as some libraries write it.
impl FromStr for SigningKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const REASON: &str = "must be whsk_ and the base64 of an Ed25519 key";
        let bytes = Zeroizing::new(text.strip_prefix("whsk_").and_then(|rest| STANDARD.decode(rest).ok()).ok_or(REASON)?);
        let (seed, half) = bytes.split_first_chunk::<32>().ok_or(REASON)?;
        let key = Self(Zeroizing::new(*seed));
        let is_whole = half.is_empty() || key.public().is_ok_and(|public| public.bytes() == half);
        if is_whole { Ok(key) } else { Err(REASON) }
    }
}

/// The public half of a [`SigningKey`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "whpk_{}", STANDARD.encode(self.0))
    }
}

impl FromStr for PublicKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let bytes = text.strip_prefix("whpk_").and_then(|rest| STANDARD.decode(rest).ok());
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or("must be whpk_ and the base64 of an Ed25519 public key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_of_its_kind_and_length_and_reads_back() {
        let secret = Secret::generate();
        assert_eq!(secret.text().expose_secret().parse::<Secret>().unwrap().bytes(), secret.bytes());
        let key = SigningKey::generate();
        let (text, public) = (key.text(), key.public().unwrap());
        assert_eq!(text.expose_secret().parse::<SigningKey>().unwrap().public().unwrap(), public);
        assert_eq!(public.to_string().parse(), Ok(public.clone()));
        let whole = |half: &[u8; 32]| format!("whsk_{}", STANDARD.encode([key.seed().as_slice(), half].concat()));
        assert!(whole(public.bytes()).parse::<SigningKey>().is_ok() && whole(key.seed()).parse::<SigningKey>().is_err());

        let of = |length: usize| format!("whsec_{}", STANDARD.encode(vec![7; length]));
        assert_eq!([23, 24, 64, 65].map(|length| of(length).parse::<Secret>().is_ok()), [false, true, true, false]);
        for wrong in [&of(32)[6..], "whsec_", "whsec_!", &of(32).replace("whsec_", "whpk_"), &public.to_string()] {
            assert!(wrong.parse::<Secret>().is_err(), "{wrong}");
        }
        assert!(!format!("{secret:?}{key:?}").contains(&STANDARD.encode(secret.bytes())));
    }
}
