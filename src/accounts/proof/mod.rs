//! What a letter proves: a link token, and where people type a code too. Whoever shows one has read a letter to that mailbox, once.
//!
//! A code is bound to the call that asked for it (ASVS 5.0 6.6.2) and dies after [`MAX_TRIES`] wrong tries; both are stored as
//! digests, the short code as a keyed one (6.5.2), so that a stolen database proves no mailbox. A link of one purpose is worth
//! nothing for another.
//! Attacks: `tests/suite/attacks/s04_rate_limits/code_guessing.rs`, `tests/suite/attacks/s15_broken_authentication/`.

pub mod store;

use crate::{
    accounts::{AccountId, Email},
    platform::{
        crypto::{self, SecretToken},
        keyring::{Keyring, Purpose as KeyPurpose},
    },
};
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Wrong codes after which the code is dead (ASVS 5.0 6.6.3).
pub const MAX_TRIES: i16 = 5;

/// What a proof is good for. The closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Completes a registration.
    Registration,
    /// Accepts an invitation.
    Invitation,
    /// Sets a new password.
    PasswordReset,
    /// Proves the new address of an account.
    EmailChange,
    /// Takes a change of address back, from the old one.
    EmailUndo,
    /// "This was not me": ends a session.
    DisownSession,
    /// Makes a device known after too many wrong passwords.
    TrustDevice,
    /// Keeps an account that is about to be erased.
    KeepAccount,
    /// Takes a lost second factor away, with an administrator's help.
    SecondFactorReset,
    /// The owner agrees to the first second factor, or to another way in.
    FirstFactor,
}

impl Purpose {
    /// All purposes.
    pub const ALL: [Self; 10] = [
        Self::Registration,
        Self::Invitation,
        Self::PasswordReset,
        Self::EmailChange,
        Self::EmailUndo,
        Self::DisownSession,
        Self::TrustDevice,
        Self::KeepAccount,
        Self::SecondFactorReset,
        Self::FirstFactor,
    ];

    /// What the owner's new password or address makes worthless. Links that came unasked are none of
    /// it: "this was not me", and the undoing of an address, must survive what whoever is in the account does next. The link that keeps
    /// an account outlives it too.
    pub const ENDED_BY_RECOVERY: [Self; 5] = [Self::PasswordReset, Self::EmailChange, Self::TrustDevice, Self::SecondFactorReset, Self::FirstFactor];

    /// The name in the table `mailed_proofs`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::Invitation => "invitation",
            Self::PasswordReset => "password_reset",
            Self::EmailChange => "email_change",
            Self::EmailUndo => "email_undo",
            Self::DisownSession => "disown_session",
            Self::TrustDevice => "trust_device",
            Self::KeepAccount => "keep_account",
            Self::SecondFactorReset => "second_factor_reset",
            Self::FirstFactor => "first_factor",
        }
    }

    /// Whether the letter carries a code to type beside its link: where the person waits at the place that asked.
    fn has_code(self) -> bool {
        matches!(self, Self::Registration | Self::PasswordReset | Self::EmailChange | Self::FirstFactor)
    }
}

/// What is to be proven.
#[derive(Clone, Copy)]
pub struct Claim<'c> {
    /// What the proof will be good for.
    pub purpose: Purpose,
    /// The mailbox.
    pub email: &'c Email,
    /// Whose account it is about; `None` for a mailbox without one.
    pub account: Option<AccountId>,
    /// The session that a [`Purpose::DisownSession`] ends.
    pub session: Option<Uuid>,
    /// How long the proof is valid.
    pub lifetime: Duration,
}

/// What the letter carries.
pub struct Issued {
    /// Names the proof to the typed code.
    pub id: Uuid,
    /// For the link.
    pub link: SecretToken,
    /// For typing, where the purpose has one.
    pub code: Option<SecretString>,
    /// Both are valid this long.
    pub lifetime: Duration,
}

/// What a caller shows.
pub enum Proof {
    /// The token in the letter's link.
    Link(String),
    /// The proof's id and the letter's code.
    Code {
        /// From the answer to the call that asked for the letter.
        id: Uuid,
        /// Eight digits.
        code: String,
    },
}

/// A mailbox that has just been proven; the proof is not spent yet.
pub struct Proven {
    /// The proof.
    pub id: Uuid,
    /// What it is good for.
    pub purpose: Purpose,
    /// The mailbox.
    pub email: Email,
    /// Whose account it is about.
    pub account: Option<AccountId>,
    /// The session that it ends.
    pub session: Option<Uuid>,
    /// When the letter was written.
    pub issued_at: OffsetDateTime,
}

/// Why a proof was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// Unknown, used, expired, for something else, or tried too often: nobody is told which.
    #[error("the link or code is not valid, or not any more")]
    Invalid,
    /// The database refused or is away.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Issues link and code, and records their digests. The same work for mailboxes with and without an account.
///
/// # Errors
/// When the database is away.
pub async fn issue(connection: &mut PgConnection, keyring: &Keyring, now: OffsetDateTime, claim: Claim<'_>) -> Result<Issued, sqlx::Error> {
    let code = claim.purpose.has_code().then(crypto::numeric_code);
    let issued = Issued { id: crypto::uuid_v7(now), link: SecretToken::generate(), code, lifetime: claim.lifetime };
    let (version, key) = keyring.making_row(KeyPurpose::Lookup)?;
    let code = issued.code.as_ref().map(|code| (code_digest(key.expose(), issued.id, code.expose_secret()), version));
    store::insert_proof(connection, &issued, claim, code, now).await?;
    Ok(issued)
}

/// Checks a proof without spending it, so that a refused password costs the person no new letter. A try of the code is counted
/// before it is compared (count first, look second: parallel guesses cannot outrun the counter); a right code gives its try back.
///
/// # Errors
/// [`ProofError`].
pub async fn check(
    connection: &mut PgConnection,
    keyring: &Keyring,
    now: OffsetDateTime,
    purposes: &[Purpose],
    proof: &Proof,
) -> Result<Proven, ProofError> {
    let found = match proof {
        Proof::Link(token) => store::proof_by_link(connection, &crypto::sha256(token.as_bytes()), now).await?,
        Proof::Code { id, code } => match store::count_code_try(connection, *id, MAX_TRIES, now).await? {
            Some((found, digest, version)) if is_right(keyring, version, *id, code, &digest) => {
                store::return_code_try(connection, *id).await?;
                Some(found)
            }
            _ => None,
        },
    };
    let proven = found.and_then(|row| {
        let purpose = Purpose::ALL.into_iter().find(|purpose| purpose.name() == row.purpose)?;
        Some(Proven {
            id: row.id,
            purpose,
            email: Email::parse(&row.email).ok()?,
            account: row.account,
            session: row.session,
            issued_at: row.issued_at,
        })
    });
    proven.filter(|proven| purposes.contains(&proven.purpose)).ok_or(ProofError::Invalid)
}

/// Spends the proof. Only one of many parallel calls gets through. To be called first in its transaction: it locks the mailbox, so that
/// two that spend different proofs of one mailbox, and then each other's, do not wait for each other for ever.
///
/// # Errors
/// [`ProofError::Invalid`] when it was spent or ran out meanwhile.
pub async fn spend(connection: &mut PgConnection, now: OffsetDateTime, proven: &Proven) -> Result<(), ProofError> {
    store::lock_mailbox(connection, &proven.email).await?;
    if store::spend_proof(connection, proven.id, now).await? { Ok(()) } else { Err(ProofError::Invalid) }
}

fn is_right(keyring: &Keyring, version: i32, id: Uuid, code: &str, digest: &[u8]) -> bool {
    keyring.version(KeyPurpose::Lookup, version).is_some_and(|key| crypto::equal(&code_digest(key.expose(), id, code), digest))
}

fn code_digest(key: &[u8; 32], id: Uuid, code: &str) -> [u8; 32] {
    crypto::mac(key, &[b"mailed code", id.as_bytes(), code.as_bytes()])
}
