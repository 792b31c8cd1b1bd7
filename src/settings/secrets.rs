//! What production refuses in a secret, however it was set: placeholders, short ones, development's, and one that serves twice (whoever
//! learns the one has the other). Judged by text, so that no rule depends on where the secret goes. A secret never enters a message.
//! Practices 9.never-hardcode, 9.per-environment. Tests: `tests/suite/contract/production.rs`.

use crate::{
    platform::{crypto, keyring::KeyBytes},
    settings::{list::SETTINGS, problem::Kind, reader::Reader},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use std::{collections::HashSet, fmt::Display, fs, path::Path};
use url::Url;
use zeroize::{Zeroize, Zeroizing};

/// Passwords that machines use are made by machines: 16 characters are no burden.
const SHORTEST: usize = 16;

/// Text of examples, in lower case.
const SAMPLES: [&str; 12] = [
    "password",
    "passwort",
    "changeme",
    "change-me",
    "change_me",
    "secret",
    "example",
    "sample",
    "placeholder",
    "portcullis",
    "postgres",
    "12345678",
];

/// The key-encryption key that development makes, in its data folder.
pub const DEVELOPMENT_KEY: &str = "key-encryption-key";

/// A secret and the setting that it came from.
pub(super) struct Given {
    pub name: &'static str,
    pub secret: SecretString,
}

/// The password in an address, as it is meant; Postgres's may also be a parameter, which wins.
pub(super) fn password_in(url: &SecretString) -> Option<SecretString> {
    let url = Url::parse(url.expose_secret()).ok()?;
    let parameter = url.query_pairs().filter(|(name, _)| name == "password").last().map(|(_, value)| value.into_owned());
    let password = parameter.or_else(|| Some(percent_decode_str(url.password()?).decode_utf8().ok()?.into_owned()));
    String::from(url).zeroize();
    password.map(Into::into)
}

/// The address of a Sentry, over TLS unless it is on this machine. (Its key only lets reports in, so that nothing judges it.)
pub(super) fn sentry_dsn(read: &mut Reader) -> Option<SecretString> {
    const NAME: &str = "PORTCULLIS_SENTRY_DSN";
    let dsn = read.secret(NAME)?;
    let url = Url::parse(dsn.expose_secret()).ok().filter(|url| !url.username().is_empty() && url.path().len() > 1);
    let is_here = url.as_ref().and_then(Url::host_str).is_some_and(|host| ["localhost", "127.0.0.1", "[::1]"].contains(&host));
    match url.as_ref().map(Url::scheme) {
        Some("https") => return Some(dsn),
        Some("http") if is_here => return Some(dsn),
        _ => read.refuse(NAME, "must be like https://key@host/project"),
    }
    None
}

/// Refuses what others might know. `data`: where development keeps what it makes.
pub(super) fn judge(read: &mut Reader, all: &[Given], data: &Path) {
    const DATABASE: &str = "DATABASE_URL";
    // the library would take it, and it is no setting: nothing judges it, and every child process has it
    let is_lent = read.is_given("PGPASSWORD") && read.is_given(DATABASE) && all.iter().all(|given| given.name != DATABASE);
    let mut refuse = |name, reason: &dyn Display| read.refuse_as(Kind::Strength, name, reason);
    if is_lent {
        refuse(DATABASE, &"has no password in it, and PGPASSWORD would stand in for one: unset that");
    }
    let developments = fs::read_to_string(data.join(DEVELOPMENT_KEY)).map(Zeroizing::new).ok();
    for (at, Given { name, secret }) in all.iter().enumerate() {
        let text = secret.expose_secret();
        let lower = text.to_lowercase();
        if SAMPLES.iter().any(|sample| lower.contains(sample)) || text.chars().collect::<HashSet<_>>().len() < 8 {
            refuse(name, &"looks like a placeholder");
        } else if text.chars().count() < SHORTEST {
            refuse(name, &format_args!("has a secret of fewer than {SHORTEST} characters"));
        }
        if developments.as_ref().is_some_and(|developments| crypto::equal(developments.trim().as_bytes(), text.trim().as_bytes())) {
            refuse(name, &format_args!("is the key that development made ({})", data.join(DEVELOPMENT_KEY).display()));
        }
        if SETTINGS.iter().any(|setting| setting.default == Some(text)) {
            refuse(name, &"stands in .env.example");
        }
        if let Some(other) = all[..at].iter().find(|other| other.secret.expose_secret().trim() == text.trim()) {
            refuse(name, &format_args!("has the same secret as {}", other.name));
        }
    }
}

/// Why a text is no key. Does not show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// Not 32 bytes in base64.
    #[error("must be 32 random bytes in base64 (openssl rand -base64 32)")]
    Malformed,
    /// As long as a key, and made by hand.
    #[error("is not random (openssl rand -base64 32)")]
    NotRandom,
}

pub(super) fn key_encryption_key(read: &mut Reader, given: &mut Vec<Given>, name: &'static str) -> Option<KeyBytes> {
    let text = read.secret(name)?;
    given.push(Given { name, secret: text.clone() });
    let refused = |error: &NoKey| match error {
        NoKey::Malformed => read.refuse(name, error),
        NoKey::NotRandom => read.refuse_as(Kind::Strength, name, error),
    };
    parse_key(text.expose_secret()).inspect_err(refused).ok()
}

/// Reads a key of 32 bytes in base64.
///
/// # Errors
/// When it is none, or nobody's random bytes.
pub fn parse_key(text: &str) -> Result<KeyBytes, NoKey> {
    let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| NoKey::Malformed)?);
    let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| NoKey::Malformed)?;
    // 32 random bytes have fewer than 16 different values, or fewer than 16 different steps, about once in 10^13 keys: this is
    // somebody's placeholder; and 32 bytes of text about once in 10^13, this is a password or a key in hexadecimals
    let is_text = key.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    let different = key.iter().collect::<HashSet<_>>().len();
    let steps = key.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect::<HashSet<_>>().len();
    if is_text || different < 16 || steps < 16 { Err(NoKey::NotRandom) } else { Ok(KeyBytes::new(key)) }
}
