//! Something begun that is finished once, in time, by whoever holds its token: a sign-in that waits for the second factor, the ceremonies
//! of passkeys, a sign-in at another place. What was begun is sealed in the row; its token has 256 bits and is stored as a digest.
//! Practices 10.mfa, 10.step-up. Attacks: `tests/suite/attacks/s10_access_control/`.

pub mod store;

use crate::platform::{
    crypto::{self, SecretToken, Unsealable},
    keyring::{Keyring, Purpose as KeyPurpose},
};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Wrong answers after which it is over (ASVS 5.0 6.6.3).
pub const MAX_TRIES: i16 = 5;

/// What is begun. The closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The first factor was right, the second is awaited.
    SignIn,
    /// A passkey is being made.
    PasskeyRegistration,
    /// Somebody signs in with a passkey.
    PasskeySignIn,
    /// A signed-in person shows a passkey.
    PasskeyStepUp,
    /// Somebody proves who they are at another place.
    OAuth,
}

impl Purpose {
    /// The name in the table `challenges`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::PasskeyRegistration => "passkey_registration",
            Self::PasskeySignIn => "passkey_sign_in",
            Self::PasskeyStepUp => "passkey_step_up",
            Self::OAuth => "oauth",
        }
    }
}

/// What begins.
#[derive(Debug, Clone, Copy)]
pub struct Begin {
    /// What.
    pub purpose: Purpose,
    /// Whose it is, where that is known.
    pub account: Option<Uuid>,
    /// The session that alone may finish it.
    pub session: Option<Uuid>,
    /// How long it can be finished.
    pub lifetime: Duration,
}

/// Something begun that can still be finished.
pub struct Challenge {
    /// Its id. Not what authenticates it.
    pub id: Uuid,
    /// Whose it is, where that is known.
    pub account: Option<Uuid>,
    /// The session that alone may finish it.
    pub session: Option<Uuid>,
    state: Zeroizing<Vec<u8>>,
}

/// Why there is no challenge.
#[derive(Debug, thiserror::Error)]
pub enum ChallengeError {
    /// Unknown, used, too late, for something else, or tried too often: nobody is told which.
    #[error("nothing that was begun and can be finished")]
    Invalid,
    /// What was begun cannot be sealed.
    #[error(transparent)]
    Seal(#[from] Unsealable),
    /// What was begun cannot be written or read.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The database refused or is away.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Challenge {
    /// What was begun.
    ///
    /// # Errors
    /// When it is of another kind.
    pub fn state<T: DeserializeOwned>(&self) -> Result<T, ChallengeError> {
        Ok(serde_json::from_slice(&self.state)?)
    }
}

fn seal(keyring: &Keyring, id: Uuid, state: &impl Serialize) -> Result<(i32, Vec<u8>), ChallengeError> {
    let plain = Zeroizing::new(serde_json::to_vec(state)?);
    Ok(keyring.seal(KeyPurpose::Challenge, id.as_bytes(), &plain)?)
}

/// Begins something. Returns the token that finishes it.
///
/// # Errors
/// [`ChallengeError`].
pub async fn issue(
    connection: &mut PgConnection,
    keyring: &Keyring,
    now: OffsetDateTime,
    begin: Begin,
    state: &impl Serialize,
) -> Result<SecretToken, ChallengeError> {
    let (id, token) = (crypto::uuid_v7(now), SecretToken::generate());
    let sealed = seal(keyring, id, state)?;
    store::insert(connection, id, &token.digest(), begin, sealed, now).await?;
    Ok(token)
}

/// What this token finishes.
///
/// # Errors
/// [`ChallengeError::Invalid`], or when it cannot be read.
pub async fn find(
    connection: &mut PgConnection,
    keyring: &Keyring,
    now: OffsetDateTime,
    purpose: Purpose,
    token: &SecretToken,
) -> Result<Challenge, ChallengeError> {
    let row = store::find(connection, &token.digest(), purpose, MAX_TRIES, now).await?.ok_or(ChallengeError::Invalid)?;
    // its key was revoked: what was begun is over
    let plain = keyring.open_sealed(KeyPurpose::Challenge, row.version, row.id.as_bytes(), &row.sealed).map_err(|_| ChallengeError::Invalid)?;
    Ok(Challenge { id: row.id, account: row.account, session: row.session, state: Zeroizing::new(plain) })
}

/// Says anew what was begun.
///
/// # Errors
/// [`ChallengeError`].
pub async fn replace_state(connection: &mut PgConnection, keyring: &Keyring, id: Uuid, state: &impl Serialize) -> Result<(), ChallengeError> {
    let sealed = seal(keyring, id, state)?;
    Ok(store::replace_state(connection, id, sealed).await?)
}

/// Counts an answer before it is compared, so that parallel guesses cannot outrun the counter.
///
/// # Errors
/// [`ChallengeError::Invalid`] when there were too many.
pub async fn count_try(connection: &mut PgConnection, id: Uuid, now: OffsetDateTime) -> Result<i16, ChallengeError> {
    store::count_try(connection, id, MAX_TRIES, now).await?.ok_or(ChallengeError::Invalid)
}

/// Finishes it. Only one of many parallel calls gets through.
///
/// # Errors
/// [`ChallengeError::Invalid`] when it is finished or too late.
pub async fn spend(connection: &mut PgConnection, id: Uuid, now: OffsetDateTime) -> Result<(), ChallengeError> {
    if store::spend(connection, id, now).await? { Ok(()) } else { Err(ChallengeError::Invalid) }
}
