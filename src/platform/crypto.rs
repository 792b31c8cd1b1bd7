//! Randomness, digests, authenticated encryption and constant-time comparison, all by aws-lc-rs: no primitive is written here.
//!
//! Protects against guessed tokens (ASVS 5.0 7.2.3: at least 128 bits of entropy), timing oracles on comparisons, and stored
//! secrets that can be read or moved to another row (practices 2.no-plaintext, 2.encrypted-sessions).
//! Attacks: `tests/suite/attacks/s14_sessions/forged_cookie.rs`.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    constant_time, digest, hmac, pbkdf2, rand,
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use secrecy::{ExposeSecret, SecretString};
use std::num::NonZeroU32;
use time::OffsetDateTime;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Length of a GCM nonce in bytes (NIST SP 800-38D).
const NONCE_LEN: usize = 12;

/// A sealed value could not be opened: wrong key, wrong context, or altered bytes. Deliberately says no more.
#[derive(Debug, thiserror::Error)]
#[error("a sealed value could not be opened: wrong key, wrong context or altered bytes")]
pub struct Unsealable;

/// `N` bytes from the operating system's generator.
///
/// # Panics
/// When the operating system has no randomness to give. Nothing this service does is safe then.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "without randomness no answer is safe, not even an error page with an id")]
    rand::fill(&mut bytes).expect("the operating system's random generator failed");
    bytes
}

/// A 256-bit bearer secret as 43 characters of base64url. Only its digest is ever stored.
#[derive(Clone)]
pub struct SecretToken(SecretString);

impl SecretToken {
    /// A fresh random token.
    #[must_use]
    pub fn generate() -> Self {
        Self(URL_SAFE_NO_PAD.encode(random::<32>()).into())
    }

    /// The token that key and parts lead to, always the same.
    #[must_use]
    pub fn derive(key: &[u8; 32], parts: &[&[u8]]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(mac(key, parts)).into())
    }

    /// One that somebody sent.
    #[must_use]
    pub fn sent(text: String) -> Self {
        Self(text.into())
    }

    /// The token's text, to be put into a letter or a cookie and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is stored and looked up. A plain digest is enough for 256 random bits (ASVS 5.0 6.5.2).
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        sha256(self.expose().as_bytes())
    }
}

/// Digits and letters: text of these is one word to editors and shells.
pub const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// So many characters of [`BASE62`], 5.95 bits each, drawn without bias.
#[must_use]
pub fn random_base62(length: usize) -> SecretString {
    /// The largest multiple of 62 that a byte reaches: what is drawn above would favour the first characters.
    const FAIR: u8 = 248;
    let mut text = Zeroizing::new(String::with_capacity(length));
    while text.len() < length {
        let drawn = Zeroizing::new(random::<64>());
        let fair = drawn.iter().filter(|byte| **byte < FAIR).take(length - text.len());
        text.extend(fair.map(|byte| char::from(BASE62[usize::from(byte % 62)])));
    }
    SecretString::from(text.as_str())
}

/// A decimal code of eight digits (26 bits) for people to type, drawn without bias.
#[must_use]
pub fn numeric_code() -> SecretString {
    const CODES: u32 = 100_000_000;
    const FAIR: u32 = u32::MAX - u32::MAX % CODES;
    loop {
        let draw = u32::from_be_bytes(random());
        if draw < FAIR {
            return format!("{:08}", draw % CODES).into();
        }
    }
}

/// A UUIDv7 (RFC 9562) for the given time. An identifier, never a secret (ASVS 5.0 7.2.3).
#[must_use]
pub fn uuid_v7(now: OffsetDateTime) -> Uuid {
    let millis = u64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &random()).into_uuid()
}

/// SHA-256.
#[must_use]
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    out
}

/// HMAC-SHA256 over the parts, each preceded by its length so that no two lists of parts collide.
#[must_use]
pub fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.sign().as_ref());
    out
}

/// HMAC-SHA256 (RFC 2104) over the parts as one text, for forms that others prescribe; [`mac`] keeps parts apart.
#[must_use]
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 32];
    out.copy_from_slice(context.sign().as_ref());
    out
}

/// Compares in time that depends on the lengths only.
#[must_use]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// AES-256-GCM with a random nonce in front. `context` (the row, the column) is authenticated, so that a sealed value does not
/// open in another place.
///
/// # Errors
/// [`Unsealable`] when the library refuses, which it does for absurd lengths only.
pub fn seal(key: &[u8; 32], context: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Unsealable> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| Unsealable)?;
    let mut sealed = plaintext.to_vec();
    let nonce = key.seal_in_place_append_tag(Aad::from(context), &mut sealed).map_err(|_| Unsealable)?;
    Ok([nonce.as_ref().as_slice(), &sealed].concat())
}

/// Opens what [`seal`] made with the same key and context.
///
/// # Errors
/// [`Unsealable`] when key, context or bytes differ.
pub fn open(key: &[u8; 32], context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unsealable> {
    let (nonce, ciphertext) = sealed.split_at_checked(NONCE_LEN).ok_or(Unsealable)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unsealable)?;
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| Unsealable)?;
    let mut buffer = ciphertext.to_vec();
    let length = key.open_in_place(nonce, Aad::from(context), &mut buffer).map_err(|_| Unsealable)?.len();
    buffer.truncate(length);
    Ok(buffer)
}

/// An Ed25519 signature (RFC 8032) by the key that grows from this seed.
///
/// # Errors
/// [`Unsealable`] when the library refuses, which it does for no seed of this length.
pub fn sign(seed: &[u8; 32], message: &[u8]) -> Result<[u8; 64], Unsealable> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| Unsealable)?;
    pair.sign(message).as_ref().try_into().map_err(|_| Unsealable)
}

/// The public half of that key.
///
/// # Errors
/// As [`sign`].
pub fn public_key(seed: &[u8; 32]) -> Result<[u8; 32], Unsealable> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| Unsealable)?;
    pair.public_key().as_ref().try_into().map_err(|_| Unsealable)
}

/// Whether [`sign`] made this with the seed of this public key.
#[must_use]
pub fn is_signed(public: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public).verify(message, signature).is_ok()
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// Reads [`hex`].
#[must_use]
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(u8::try_from(char::from(*high).to_digit(16)? << 4 | char::from(*low).to_digit(16)?).ok()?),
        _ => None,
    });
    pairs.collect()
}

/// What Postgres stores of a password instead of it (RFC 5803 with SCRAM-SHA-256, RFC 7677): sent in its place, the password reaches
/// neither the server nor its log. `None`: the password is not ASCII, and its normal form would have to be agreed on.
#[must_use]
pub fn scram_verifier(password: &SecretString) -> Option<String> {
    const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();
    let password = password.expose_secret();
    if !password.is_ascii() {
        return None;
    }
    let (salt, mut salted) = (random::<16>(), Zeroizing::new([0; 32]));
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, &salt, password.as_bytes(), salted.as_mut());
    let keyed = |text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salted.as_ref()), text.as_bytes());
    let stored = sha256(keyed("Client Key").as_ref());
    let [salt, stored, server] = [&salt[..], &stored, keyed("Server Key").as_ref()].map(|bytes| STANDARD.encode(bytes));
    Some(format!("SCRAM-SHA-256${ITERATIONS}:{salt}${stored}:{server}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_with_its_key_in_its_context_and_unaltered() {
        let key = random();
        let mut sealed = seal(&key, b"row 1", b"secret").unwrap();
        assert_eq!(open(&key, b"row 1", &sealed).unwrap(), b"secret");
        assert!(open(&key, b"row 2", &sealed).is_err());
        assert!(open(&random(), b"row 1", &sealed).is_err());
        assert!(open(&key, b"row 1", &sealed[..5]).is_err());
        sealed[NONCE_LEN] ^= 1;
        assert!(open(&key, b"row 1", &sealed).is_err());
    }

    #[test]
    fn a_signature_is_of_one_key_and_one_message() {
        // RFC 8032 §7.1, test 2
        let seed: [u8; 32] = from_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb").unwrap().try_into().unwrap();
        let public = public_key(&seed).unwrap();
        assert_eq!(hex(&public), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let signature = sign(&seed, &[0x72]).unwrap();
        assert!(hex(&signature).starts_with("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"));
        assert!(is_signed(&public, &[0x72], &signature));
        assert!(!is_signed(&public, &[0x73], &signature) && !is_signed(&public_key(&random()).unwrap(), &[0x72], &signature));
        assert!(from_hex("0").is_none() && from_hex("0g").is_none());
    }

    #[test]
    fn a_mac_depends_on_where_its_parts_begin_and_end() {
        let key = random();
        assert_ne!(mac(&key, &[b"ab", b"c"]), mac(&key, &[b"a", b"bc"]));
    }
}
