//! A registration: a link token and a typed code that prove one mailbox, once.
//!
//! The code is bound to the registration that asked for it (ASVS 5.0 6.6.2) and dies after [`MAX_TRIES`] wrong tries; both are
//! stored as digests, the short code as a keyed one (6.5.2), so that a stolen database proves no mailbox.
//! Attacks: `tests/suite/attacks/s04_rate_limits/code_guessing.rs`, `tests/suite/attacks/s15_broken_authentication/`.

use crate::{
    accounts::{Email, store},
    platform::{
        crypto::{self, SecretToken},
        keyring::{Keyring, Purpose},
    },
};
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Wrong codes after which the code is dead (ASVS 5.0 6.6.3).
pub const MAX_TRIES: i16 = 5;

/// What the letter for a new registration carries.
pub struct Issued {
    /// Names the registration to the typed code.
    pub id: Uuid,
    /// For the link.
    pub link: SecretToken,
    /// For typing.
    pub code: SecretString,
    /// Both end here.
    pub expires_at: OffsetDateTime,
}

/// What proves the mailbox.
pub enum Proof {
    /// The token in the letter's link.
    Link(String),
    /// The registration's id and the letter's code.
    Code {
        /// From the answer to `register`.
        registration: Uuid,
        /// Eight digits.
        code: String,
    },
}

/// A mailbox that has just been proven; the proof is not spent yet.
pub struct Proven {
    /// The registration.
    pub id: Uuid,
    /// Its address.
    pub email: Email,
}

/// Why a registration went no further.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// Unknown, used, expired, or tried too often: nobody is told which.
    #[error("the link or code is not valid, or not any more")]
    InvalidProof,
    /// The database refused or is away.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Issues link and code, and records their digests. The same work for known and unknown addresses.
///
/// # Errors
/// When the database is away.
pub async fn issue(
    connection: &mut PgConnection,
    keyring: &Keyring,
    now: OffsetDateTime,
    lifetime: Duration,
    email: &Email,
) -> Result<Issued, sqlx::Error> {
    let issued = Issued { id: crypto::uuid_v7(now), link: SecretToken::generate(), code: crypto::numeric_code(), expires_at: now + lifetime };
    let (version, key) = keyring.active(Purpose::Lookup);
    let digest = code_digest(key, issued.id, issued.code.expose_secret());
    store::insert_registration(connection, &issued, email, &digest, version, now).await?;
    Ok(issued)
}

/// Checks a proof without spending it, so that a refused password costs the person no new letter. A try of the code is counted
/// before it is compared (count first, look second: parallel guesses cannot outrun the counter); a right code gives its try back.
///
/// # Errors
/// [`RegistrationError`].
pub async fn check(connection: &mut PgConnection, keyring: &Keyring, now: OffsetDateTime, proof: &Proof) -> Result<Proven, RegistrationError> {
    let found = match proof {
        Proof::Link(token) => store::registration_by_link(connection, &crypto::sha256(token.as_bytes()), now).await?,
        Proof::Code { registration, code } => {
            let counted = store::count_code_try(connection, *registration, MAX_TRIES, now).await?;
            let right = counted.as_ref().is_some_and(|row| {
                keyring
                    .version(Purpose::Lookup, row.code_key_version)
                    .is_some_and(|key| crypto::equal(&code_digest(key, *registration, code), &row.code_digest))
            });
            if right {
                store::return_code_try(connection, *registration).await?;
            }
            counted.filter(|_| right).map(|row| (*registration, row.email))
        }
    };
    let (id, email) = found.ok_or(RegistrationError::InvalidProof)?;
    Ok(Proven { id, email: Email::parse(&email).map_err(|_| RegistrationError::InvalidProof)? })
}

/// Spends the proof, and with it every other registration of the address. Only one of many parallel calls gets through.
///
/// # Errors
/// [`RegistrationError::InvalidProof`] when it was spent or ran out meanwhile.
pub async fn spend(connection: &mut PgConnection, now: OffsetDateTime, proven: &Proven) -> Result<(), RegistrationError> {
    if !store::spend_registration(connection, proven.id, now).await? {
        return Err(RegistrationError::InvalidProof);
    }
    store::spend_registrations_of(connection, &proven.email, now).await?;
    Ok(())
}

fn code_digest(key: &[u8; 32], registration: Uuid, code: &str) -> [u8; 32] {
    crypto::mac(key, &[b"registration code", registration.as_bytes(), code.as_bytes()])
}
