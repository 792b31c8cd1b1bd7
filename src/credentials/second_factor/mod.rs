//! What proves more than a password: codes of an authenticator app ([`totp`]), and for who has lost it [`recovery`] codes. An account has a
//! second factor once one is confirmed; from then on every way in asks for it, and a new password changes nothing about that.
//! Practices 10.mfa, 2.password-policy. Attacks: `tests/suite/attacks/s10_access_control/`.

pub mod recovery;
pub mod store;
pub mod totp;

use crate::credentials::challenge;
use serde::Serialize;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// A kind of second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A code of an authenticator app.
    Totp,
    /// A passkey.
    Passkey,
    /// A recovery code.
    RecoveryCode,
}

impl Method {
    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Passkey => "passkey",
            Self::RecoveryCode => "recovery_code",
        }
    }
}

/// What an account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Factors {
    /// A confirmed authenticator app.
    pub totp: bool,
    /// How many passkeys.
    pub passkeys: i64,
    /// How many recovery codes are left.
    pub recovery_codes: i64,
}

impl Factors {
    /// Whether every way in asks for one. Recovery codes alone are none.
    #[must_use]
    pub fn is_on(self) -> bool {
        self.totp || self.passkeys > 0
    }

    /// Which there are to choose from.
    #[must_use]
    pub fn methods(self) -> Vec<Method> {
        let all = [(self.totp, Method::Totp), (self.passkeys > 0, Method::Passkey), (self.recovery_codes > 0, Method::RecoveryCode)];
        all.into_iter().filter_map(|(has, method)| has.then_some(method)).collect()
    }
}

/// Takes every second factor away, and ends what waits for one.
///
/// # Errors
/// When the database is away.
pub async fn remove_all(connection: &mut PgConnection, account: Uuid, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    store::remove_since(connection, account, OffsetDateTime::UNIX_EPOCH).await?;
    challenge::store::end_all(connection, account, now).await
}

/// Why a second factor was not set up or shown: our own fault.
#[derive(Debug, thiserror::Error)]
pub enum FactorError {
    /// What is stored cannot be sealed or opened.
    #[error(transparent)]
    Seal(#[from] crate::platform::crypto::Unsealable),
    /// The library refused.
    #[error("one-time passwords: {0}")]
    Totp(String),
    /// The database refused or is away.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}
