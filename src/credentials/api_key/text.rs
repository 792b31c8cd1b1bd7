//! How an API key is written. `pc_`: whose it is, for scanners; the environment, so that nobody's test meets real data and no development
//! key is good in production; the id of its row; 256 random bits; and a checksum, as in GitHub's tokens, by which a scanner tells a key from
//! what looks like one without asking anybody. Letters and digits only, so that a double click takes all of it.
//! Practices 9.per-environment, 9.ignore-and-scan. Attacks: `tests/suite/attacks/s09_secrets/forged_api_keys.rs`.

use crate::{
    credentials::api_key::Refusal,
    platform::crypto::{self, BASE62},
};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

/// What every key begins with.
pub const PREFIX: &str = "pc_";

/// Characters of the secret: 43 × log₂ 62 = 256 bits.
const SECRET_LENGTH: usize = 43;

/// Characters of the checksum: 62⁶ > 2³².
const CHECKSUM_LENGTH: usize = 6;

/// Where a key counts. One of another realm is worth nothing, whatever else is right about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Realm {
    /// Production.
    Live,
    /// Development.
    Dev,
}

impl Realm {
    /// As it stands in the key.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Dev => "dev",
        }
    }
}

/// A key, whole and well-formed, good or not. Does not print, is wiped on drop.
pub struct ApiKey {
    id: Uuid,
    text: SecretString,
}

impl ApiKey {
    /// A fresh one.
    #[must_use]
    pub fn generate(realm: Realm, id: Uuid) -> Self {
        let secret = crypto::random_base62(SECRET_LENGTH);
        let body: SecretString = format!("{PREFIX}{}_{}_{}", realm.name(), id.simple(), secret.expose_secret()).into();
        Self { id, text: format!("{}{}", body.expose_secret(), checksum(body.expose_secret())).into() }
    }

    /// Whether this claims to be a key of ours.
    #[must_use]
    pub fn is_claimed_by(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// One that somebody sent. Each key has one spelling.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] or [`Refusal::Environment`].
    pub fn parse(text: &str, realm: Realm) -> Result<Self, Refusal> {
        let malformed = || Refusal::Malformed;
        let parts: Vec<&str> = text.strip_prefix(PREFIX).ok_or_else(malformed)?.splitn(4, '_').collect();
        let [environment, id, rest] = parts[..] else { return Err(Refusal::Malformed) };
        let is_plain = rest.len() == SECRET_LENGTH + CHECKSUM_LENGTH && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let id = Uuid::try_parse(id).ok().filter(|parsed| parsed.simple().to_string() == id).ok_or_else(malformed)?;
        let (body, sum) = text.split_at_checked(text.len().saturating_sub(CHECKSUM_LENGTH)).ok_or_else(malformed)?;
        if !is_plain || checksum(body) != sum {
            return Err(Refusal::Malformed);
        }
        if environment != realm.name() {
            return Err(Refusal::Environment);
        }
        Ok(Self { id, text: text.to_owned().into() })
    }

    /// The id of its row. Not a secret.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The key's text, to be shown to its maker once and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    /// What is stored and compared.
    pub(super) fn digest(&self, key: &[u8; 32]) -> [u8; 32] {
        crypto::mac(key, &[b"api key", self.expose().as_bytes()])
    }
}

/// CRC-32 (ISO-HDLC, as in zlib) of all that stands before it, in base62. Tells slips and lookalikes, keeps nobody from making one up.
fn checksum(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = [0; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> String {
        ApiKey::generate(Realm::Dev, Uuid::from_u128(7)).expose().to_owned()
    }

    #[test]
    fn a_key_is_read_as_it_was_made_and_in_its_realm_only() {
        let text = made();
        assert_eq!(ApiKey::parse(&text, Realm::Dev).map(|key| key.id()), Ok(Uuid::from_u128(7)));
        assert_eq!(ApiKey::parse(&text, Realm::Live).err(), Some(Refusal::Environment));
        assert_ne!(text, made());
        // the one in the documents, made by another implementation of CRC-32
        let known = "pc_dev_0190a5e0c0de7000800000000000beef_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg";
        assert_eq!(checksum(known), "1Be5sA");
    }

    #[test]
    fn every_other_spelling_is_none() {
        let text = made();
        for at in 0..text.len() {
            for other in ['0', 'Z', '_', '-', 'é'] {
                let altered: String = text.chars().enumerate().map(|(n, c)| if n == at { other } else { c }).collect();
                assert!(altered == text || ApiKey::parse(&altered, Realm::Dev).is_err(), "{altered}");
            }
            assert!(ApiKey::parse(&text[..at], Realm::Dev).is_err());
        }
        for other in [text.to_uppercase(), format!("{text}0"), format!(" {text}"), text.replacen("_0", "_-", 1), "pc___".into(), "pc_".into()] {
            assert_eq!(ApiKey::parse(&other, Realm::Dev).err(), Some(Refusal::Malformed), "{other}");
        }
    }
}
