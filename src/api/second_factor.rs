//! The second half of a sign-in: whoever has shown the first factor shows the second. Wrong ones are counted before they are looked at: for
//! the account and the device, for the sign-in under way, in a row, and with the wrong passwords in a row. What is right is spent in the
//! transaction that starts the session.
//! Practices 10.mfa, 4.brute-force. Attacks: `tests/suite/attacks/s10_access_control/`.

use crate::{
    accounts::{self, AccountId, Email, proof},
    api::{
        login::note_wrong_password,
        mailed,
        passkeys::{credential::ShownCredential, proof::judge},
        shapes::{OpaqueToken, RecoveryCode, TotpCode},
        sign_in::{self, Evidence, LoginAnswer, Waiting},
    },
    audit::{self, Entry, Event},
    credentials::{
        challenge::{self, ChallengeError, MAX_TRIES, Purpose},
        passkey::{self, Question},
        second_factor::{Method, recovery, store::factors, totp},
    },
    edge::{
        guard::{Anyone, Caller},
        known_device::KnownDevice,
        rate_limit::{self, Count, Quota, forget, give_back, spend as count_all},
        valid::{Object, Valid},
    },
    error::{ApiError, ErrorCode},
    letters::Letter,
    platform::crypto::SecretToken,
    state::State,
};
use actix_session::Session;
use actix_web::{
    HttpResponse,
    web::{Data, Json},
};
use garde::Validate;
use serde::Deserialize;
use serde_json::json;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

/// A second factor, as it was sent.
pub(super) enum Sent {
    Totp(String),
    RecoveryCode(String),
    Passkey(Box<passkey::Shown>),
}

/// The same, as far as it can be judged without using it up.
pub(super) enum Shown {
    Totp(String),
    RecoveryCode(String),
    /// `None`: it is wrong.
    Passkey(Option<Box<passkey::Used>>),
}

impl Sent {
    /// Exactly one.
    pub fn of(code: Option<String>, recovery_code: Option<String>, passkey: Option<Object<ShownCredential>>) -> Result<Self, ApiError> {
        match (code, recovery_code, passkey) {
            (Some(code), None, None) => {
                let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
                let is_one = code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit());
                // before it is counted: no guess
                if is_one { Ok(Self::Totp(code)) } else { Err(ApiError::invalid_field("code", "is not six digits")) }
            }
            (None, Some(code), None) if recovery::is_one(&code) => Ok(Self::RecoveryCode(code)),
            (None, Some(_), None) => Err(ApiError::invalid_field("recovery_code", "is not 24 letters and digits")),
            (None, None, Some(Object(passkey))) => Ok(Self::Passkey(Box::new(passkey.take("passkey")?))),
            _ => Err(ApiError::invalid_field("code", "is to be given, or recovery_code or passkey instead; one of them only")),
        }
    }

    /// Judges a passkey by what it was asked, where it was asked. To be counted before.
    pub async fn look(self, state: &State, caller: &Caller, (account, email): (Uuid, &Email), asked: Option<Question>) -> Result<Shown, ApiError> {
        let shown = match self {
            Self::Totp(code) => return Ok(Shown::Totp(code)),
            Self::RecoveryCode(code) => return Ok(Shown::RecoveryCode(code)),
            Self::Passkey(shown) => shown,
        };
        let Some(question) = asked else { return Ok(Shown::Passkey(None)) };
        let found = passkey::store::find_own(&mut *state.pool.acquire().await?, &state.keyring, account, &shown.id).await?;
        let known = found.map(|passkey| (passkey, email.clone()));
        Ok(Shown::Passkey(judge(state, caller, question, known, *shown).await?.map(Box::new)))
    }
}

/// A second factor that was right.
pub(super) struct Spent {
    pub method: Method,
}

impl Spent {
    /// Beside the first factor (RFC 8176).
    pub fn amr(&self) -> Vec<String> {
        let own = match self.method {
            Method::Totp => Some("otp"),
            Method::Passkey => Some("pop"),
            Method::RecoveryCode => None,
        };
        own.into_iter().chain(["mfa"]).map(str::to_owned).collect()
    }
}

/// Spends a second factor in the caller's transaction. `None`: it is wrong, or somebody was faster. A used recovery code is told to its
/// owner, and how many are left.
pub(super) async fn spend(
    connection: &mut PgConnection,
    state: &State,
    account: Uuid,
    email: &Email,
    shown: &Shown,
) -> Result<Option<Spent>, ApiError> {
    let (keyring, now) = (&state.keyring, state.clock.now());
    let (is_right, method) = match shown {
        Shown::Totp(code) => (totp::spend(connection, keyring, account, code, now).await?, Method::Totp),
        Shown::RecoveryCode(code) => (recovery::spend(connection, keyring, account, code, now).await?, Method::RecoveryCode),
        Shown::Passkey(None) => (false, Method::Passkey),
        Shown::Passkey(Some(used)) => (passkey::store::note_use(connection, keyring, used, now).await?, Method::Passkey),
    };
    if !is_right {
        return Ok(None);
    }
    forget(state, connection, Count::of(state, Quota::SecondFactorFailures, &[&account.to_string()])).await?;
    // whoever shows it has not lost it
    accounts::proof::store::end_proofs(connection, AccountId(account), &[proof::Purpose::SecondFactorReset], now).await?;
    if method == Method::RecoveryCode {
        let left = factors(connection, account).await?.recovery_codes;
        // never suppressed: there are ten at most
        mailed::send(connection, state, email, Letter::RecoveryCodeUsed(left)).await?;
    }
    Ok(Some(Spent { method }))
}

/// Where a second factor is shown.
pub(super) enum Place<'p> {
    SignIn(Option<&'p KnownDevice>),
    Session(Uuid),
}

/// Counts a second factor before it is looked at. Devices that the account knows have a count of their own, and so have recovery codes
/// and passkeys, so that an attack does not lock the owner out. After very many wrong codes in a row (NIST SP 800-63B-4 §3.2.2) codes of
/// the app count for nothing, wherever they come from: a new device or a new password brings no more guesses.
pub(super) async fn count(state: &State, account: Uuid, place: Place<'_>, sent: &Sent) -> Result<Counted, ApiError> {
    let account = account.to_string();
    let place = match place {
        Place::SignIn(None) => "unknown".to_owned(),
        Place::SignIn(Some(device)) => device.id.to_string(),
        // a count of its own: whoever took one over must not use up what the owner shows in another
        Place::Session(session) => session.to_string(),
    };
    let counts = match sent {
        Sent::Totp(_) => {
            vec![Count::of(state, Quota::SecondFactor, &[&account, &place]), Count::of(state, Quota::SecondFactorFailures, &[&account])]
        }
        Sent::RecoveryCode(_) => vec![Count::of(state, Quota::SecondFactor, &[&account, &place, "recovery code"])],
        Sent::Passkey(_) => vec![Count::of(state, Quota::SecondFactor, &[&account, &place, "passkey"])],
    };
    let spent = count_all(state, &counts).await?;
    let is_beyond = matches!(sent, Sent::Totp(_)) && spent.is_beyond(state, Quota::SecondFactorFailures);
    Ok(Counted { spent, is_beyond })
}

/// What was counted.
pub(super) struct Counted {
    pub spent: rate_limit::Spent,
    /// There were too many wrong ones: this one is wrong whatever it is.
    pub is_beyond: bool,
}

/// The second factor of a sign-in: one of `code`, `recovery_code` and `passkey`.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifySecondFactor {
    /// From the answer to the sign-in.
    #[garde(length(bytes, max = 64))]
    #[schema(value_type = OpaqueToken)]
    mfa_token: String,
    /// The authenticator app's six digits.
    #[garde(length(bytes, max = 16))]
    #[schema(value_type = Option<TotpCode>)]
    code: Option<String>,
    /// A recovery code.
    #[garde(length(bytes, max = 64))]
    #[schema(value_type = Option<RecoveryCode>)]
    recovery_code: Option<String>,
    /// What `navigator.credentials.get()` gave for `/v1/auth/mfa/options`, by its `toJSON()`.
    #[garde(dive)]
    #[schema(value_type = Option<ShownCredential>)]
    passkey: Option<Object<ShownCredential>>,
}

/// Show the second factor
///
/// Finishes a sign-in that waits for it, as it was begun. A code counts once; after five wrong ones, or some minutes, the sign-in begins
/// anew.
#[utoipa::path(post, path = "/v1/auth/mfa/verify", tag = "auth", request_body = VerifySecondFactor,
    responses((status = 200, description = "Signed in", body = LoginAnswer, headers(("Set-Cookie")))))]
pub async fn verify_second_factor(
    anyone: Anyone,
    state: Data<State>,
    session: Session,
    body: Valid<Json<VerifySecondFactor>>,
) -> Result<HttpResponse, ApiError> {
    let VerifySecondFactor { mfa_token, code, recovery_code, passkey } = body.0.into_inner();
    let sent = Sent::of(code, recovery_code, passkey)?;
    let (id, evidence, question) = awaited(&state, &anyone.caller, mfa_token).await?;
    let failures = Count::of(&state, Quota::LoginFailures, &[evidence.email.as_str()]);
    let Counted { spent, is_beyond } = count(&state, evidence.account, Place::SignIn(evidence.device.as_ref()), &sent).await?;
    let with_passwords = count_all(&state, &[failures]).await?;
    let tries = challenge::count_try(&mut *state.pool.acquire().await?, id, state.clock.now()).await;
    let about = (evidence.account, evidence.email.clone(), evidence.device.is_some());
    let completed = match &tries {
        Ok(_) if is_beyond => Ok(None),
        Ok(_) => match sent.look(&state, &anyone.caller, (evidence.account, &evidence.email), question).await {
            Ok(shown) => sign_in::complete(&state, &anyone, &session, evidence, (id, &shown)).await,
            Err(error) => Err(error),
        },
        Err(_) => Err(ApiError::new(ErrorCode::InvalidChallenge)),
    };
    if !matches!(completed, Ok(None)) {
        give_back(&state, &spent).await?;
        give_back(&state, &with_passwords).await?;
    }
    match completed? {
        Some(answer) => Ok(answer),
        None => Err(refuse(&state, &anyone.caller, about, (tries?, spent.used(Quota::SecondFactor))).await?),
    }
}

/// The sign-in that this token finishes, within the quota of wrong ones from one network.
pub(super) async fn awaited(state: &State, caller: &Caller, token: String) -> Result<(Uuid, Evidence, Option<Question>), ApiError> {
    let spent = count_all(state, &[Count::of(state, Quota::WrongProofs, &[&caller.client.network().to_string()])]).await?;
    let (keyring, now, token) = (&state.keyring, state.clock.now(), SecretToken::sent(token));
    let found = challenge::find(&mut *state.pool.acquire().await?, keyring, now, Purpose::SignIn, &token).await;
    if !matches!(found, Err(ChallengeError::Invalid)) {
        give_back(state, &spent).await?;
    }
    let found = found?;
    let Waiting { basis, carriage, device, question } = found.state()?;
    let over = || ApiError::new(ErrorCode::InvalidChallenge);
    let account = found.account.ok_or_else(over)?;
    let owner = accounts::store::find_own(&mut *state.pool.acquire().await?, AccountId(account)).await?.ok_or_else(over)?;
    let email = mailed::stored(&owner.email)?;
    Ok((found.id, Evidence { account, email, basis, carriage, device }, question))
}

/// The owner is told that somebody has the first factor and not the second: of an unknown device at the second wrong one, of one that
/// the account knows when it gives up.
async fn refuse(
    state: &State,
    caller: &Caller,
    (account, email, is_known): (Uuid, Email, bool),
    (tries, used): (i16, u32),
) -> Result<ApiError, ApiError> {
    metrics::counter!("portcullis_logins_total", "outcome" => "refused").increment(1);
    note_wrong_password(state, caller, email.as_str(), Some(account));
    // of an unknown device the second in a while: the first may be a slip, and whoever begins anew each time is told of all the same
    let is_telling = if is_known { tries == MAX_TRIES } else { used == 2 };
    let may_notify = is_telling && mailed::may_notify_of(state, "second factor", &email).await?;
    let mut transaction = state.pool.begin().await?;
    let entry = Entry::new(Event::SecondFactorRefused, &caller.origin, None, Some(account)).refused().detail(json!({ "try": tries }));
    audit::record(&mut transaction, &state.keyring, state.clock.now(), entry).await?;
    if may_notify {
        mailed::send(&mut transaction, state, &email, Letter::SecondFactorRefused(&caller.origin.device)).await?;
    }
    transaction.commit().await?;
    mailed::sent(state);
    Ok(ApiError::new(ErrorCode::InvalidSecondFactor))
}
