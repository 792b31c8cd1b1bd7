//! Time-based one-time passwords (RFC 6238): six digits, 30 seconds, HMAC-SHA-1, which is what authenticator apps can. A code counts within
//! one step of the service's clock, before and after: clocks of phones go wrong both ways (RFC 6238 §5.2, ASVS 5.0 6.5.8). It counts once: its step is recorded by compare-and-set, and with it every
//! earlier one is spent. Seeds are sealed to their account.
//! Practice 10.mfa. Attacks: `tests/suite/attacks/s10_access_control/replayed_code.rs`.

use crate::{
    credentials::second_factor::{FactorError, store},
    platform::{
        crypto,
        keyring::{Keyring, Purpose},
    },
};
use qrcode::{QrCode, render::svg};
use sqlx::PgConnection;
use time::OffsetDateTime;
use totp_rs::{Algorithm, Builder, Totp};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Length of a seed in bytes: that of the hash (RFC 4226 §4).
const SEED_LEN: usize = 20;

/// A seed, to be shown to its owner once.
pub struct Enrolment {
    /// For typing, in base32.
    pub secret: String,
    /// For apps on the same device.
    pub uri: String,
    /// The same as a picture, SVG.
    pub qr_svg: String,
}

fn algorithm(seed: &[u8], issuer: &str, account: &str) -> Result<Totp, FactorError> {
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(6)
        .with_skew(1)
        .with_step_duration(30)
        .with_secret(seed.to_vec())
        // the separator of the two in the URI
        .with_issuer(Some(issuer.replace(':', " ")))
        .with_account_name(account.replace(':', " "))
        .build()
        .map_err(|error| FactorError::Totp(error.to_string()))
}

/// Makes a seed for an account that has none confirmed, in place of one that is not. `None`: it has one.
///
/// # Errors
/// [`FactorError`].
pub async fn enrol(
    connection: &mut PgConnection,
    keyring: &Keyring,
    account: Uuid,
    (issuer, email): (&str, &str),
    now: OffsetDateTime,
) -> Result<Option<Enrolment>, FactorError> {
    let seed = Zeroizing::new(crypto::random::<SEED_LEN>());
    let totp = algorithm(seed.as_slice(), issuer, email)?;
    let uri = totp.to_url().map_err(|error| FactorError::Totp(error.to_string()))?;
    let code = QrCode::new(&uri).map_err(|error| FactorError::Totp(error.to_string()))?;
    let qr_svg = code.render::<svg::Color<'_>>().min_dimensions(240, 240).build();
    let sealed = keyring.seal(Purpose::TotpSeed, account.as_bytes(), seed.as_slice())?;
    let is_new = store::insert_totp(connection, account, sealed, now).await?;
    Ok(is_new.then(|| Enrolment { secret: totp.secret().to_base32(), uri, qr_svg }))
}

/// Whether this code is right, and if so spends its step: of many parallel uses one gets through.
///
/// # Errors
/// [`FactorError`].
pub async fn spend(connection: &mut PgConnection, keyring: &Keyring, account: Uuid, code: &str, now: OffsetDateTime) -> Result<bool, FactorError> {
    match store::confirmed_seed(connection, account).await? {
        Some(stored) => is_right(connection, keyring, account, stored, code, now).await,
        None => Ok(false),
    }
}

/// Whether this code is right of a seed that waits since then at the earliest, and if so lets it count. Behind the account's lock: no other
/// seed comes in between.
///
/// # Errors
/// [`FactorError`].
pub async fn confirm(
    connection: &mut PgConnection,
    keyring: &Keyring,
    account: Uuid,
    code: &str,
    since: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<bool, FactorError> {
    let Some(stored) = store::waiting_seed(connection, account, since).await? else { return Ok(false) };
    if !is_right(connection, keyring, account, stored, code, now).await? {
        return Ok(false);
    }
    Ok(store::confirm_totp(connection, account, now).await?)
}

async fn is_right(
    connection: &mut PgConnection,
    keyring: &Keyring,
    account: Uuid,
    (version, sealed): (i32, Vec<u8>),
    code: &str,
    now: OffsetDateTime,
) -> Result<bool, FactorError> {
    // its key was revoked: the factor is still asked for, and nobody can show it
    if keyring.version(Purpose::TotpSeed, version).is_none() {
        return Ok(false);
    }
    let seed = Zeroizing::new(keyring.open_sealed(Purpose::TotpSeed, version, account.as_bytes(), &sealed)?);
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    let step = algorithm(&seed, "", "")?.check(code, seconds).and_then(|step| i64::try_from(step).ok());
    match step {
        Some(step) => Ok(store::spend_step(connection, account, step).await?),
        None => Ok(false),
    }
}
