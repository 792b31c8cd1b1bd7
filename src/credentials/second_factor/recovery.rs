//! Recovery codes: ten, each good once, for who has lost the other factors. 120 random bits each, stored as keyed digests bound to their
//! account (ASVS 5.0 6.5.2), replaced as a set. Practice 10.mfa.
//! Attacks: `tests/suite/attacks/s10_access_control/replayed_code.rs`.

use crate::{
    credentials::second_factor::store,
    platform::{
        crypto,
        keyring::{Keyring, Purpose},
    },
};
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Codes of a set.
pub const SET: usize = 10;

/// From this many on, the owner is told to make a new set.
pub const FEW: i64 = 3;

/// Characters of a code: five bits each.
const LENGTH: usize = 24;

/// Crockford's base32: none of these is mistaken for another when read aloud or copied by hand.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// `xxxx-xxxx-xxxx-xxxx-xxxx-xxxx`.
fn generate() -> SecretString {
    let drawn = crypto::random::<LENGTH>();
    let letters: Vec<char> = drawn.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-").into()
}

/// As it was made, whatever people make of it when they type it.
fn canonical(typed: &str) -> String {
    let letters = typed.chars().filter(|c| !c.is_whitespace() && *c != '-').map(|c| c.to_ascii_lowercase());
    letters
        .map(|c| match c {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        })
        .collect()
}

/// Whether this can be a code at all.
#[must_use]
pub fn is_one(typed: &str) -> bool {
    let code = canonical(typed);
    code.len() == LENGTH && code.bytes().all(|byte| ALPHABET.contains(&byte))
}

fn digest(key: &[u8; 32], account: Uuid, code: &str) -> [u8; 32] {
    crypto::mac(key, &[b"recovery code", account.as_bytes(), canonical(code).as_bytes()])
}

/// A new set in place of the one before.
///
/// # Errors
/// When the database is away.
pub async fn replace(connection: &mut PgConnection, keyring: &Keyring, account: Uuid, now: OffsetDateTime) -> Result<Vec<SecretString>, sqlx::Error> {
    let codes: Vec<SecretString> = (0..SET).map(|_| generate()).collect();
    let (version, key) = keyring.making_row(Purpose::Lookup)?;
    let digests: Vec<Vec<u8>> = codes.iter().map(|code| digest(key.expose(), account, code.expose_secret()).to_vec()).collect();
    store::replace_codes(connection, account, &digests, version, now).await?;
    Ok(codes)
}

/// Whether this is one of the account's codes, and if so spends it: of many parallel uses one gets through.
///
/// # Errors
/// When the database is away.
pub async fn spend(connection: &mut PgConnection, keyring: &Keyring, account: Uuid, code: &str, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    let digests: Vec<Vec<u8>> = store::code_key_versions(connection, account)
        .await?
        .into_iter()
        .filter_map(|version| keyring.version(Purpose::Lookup, version))
        .map(|key| digest(key.expose(), account, code).to_vec())
        .collect();
    store::spend_code(connection, account, &digests, now).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_write_it() {
        let code = generate();
        let typed = code.expose_secret().to_uppercase().replace('-', " ").replace('0', "O").replace('1', "l");
        assert_eq!(canonical(&typed), canonical(code.expose_secret()));
        assert_eq!(canonical(&typed).len(), LENGTH);
    }
}
