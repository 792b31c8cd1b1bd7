//! What production refuses in a secret, however it was set: placeholders, short ones, development's, and one that serves twice (whoever
//! learns the one has the other). Judged by text, so that no rule depends on where the secret goes. A secret never enters a message.
//! Practices 9.never-hardcode, 9.per-environment. Tests: `tests/suite/contract/production.rs`.

use crate::{
    platform::crypto,
    settings::{list::SETTINGS, reader::Reader},
};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use std::{collections::HashSet, fs, path::Path};
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

/// What is wrong, by setting. `data`: where development keeps what it makes.
pub(super) fn judge(all: &[Given], data: &Path) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    let developments = fs::read_to_string(data.join(DEVELOPMENT_KEY)).map(Zeroizing::new).ok();
    for (at, Given { name, secret }) in all.iter().enumerate() {
        let text = secret.expose_secret();
        let lower = text.to_lowercase();
        if SAMPLES.iter().any(|sample| lower.contains(sample)) || text.chars().collect::<HashSet<_>>().len() < 8 {
            problems.push((*name, "looks like a placeholder".to_owned()));
        } else if text.chars().count() < SHORTEST {
            problems.push((*name, format!("has a secret of fewer than {SHORTEST} characters")));
        }
        if developments.as_ref().is_some_and(|developments| crypto::equal(developments.trim().as_bytes(), text.trim().as_bytes())) {
            problems.push((*name, format!("is the key that development made ({})", data.join(DEVELOPMENT_KEY).display())));
        }
        if SETTINGS.iter().any(|setting| setting.default == Some(text)) {
            problems.push((*name, "stands in .env.example".to_owned()));
        }
        if let Some(other) = all[..at].iter().find(|other| other.secret.expose_secret().trim() == text.trim()) {
            problems.push((*name, format!("has the same secret as {}", other.name)));
        }
    }
    problems
}
