//! Signing in with a password. Quotas first, then the look-up, then always exactly one argon2 verification, then the same answer for a wrong
//! password and an unknown address. What a right one buys: `sign_in.rs`.
//!
//! A known device has a quota of its own, so that an attack on an account does not lock its owner out. After a hundred wrong
//! passwords in a row (NIST SP 800-63B-4 §3.2.2) an unknown device is refused whatever it sends, in the same words; the right
//! password then makes a letter, whose link makes the device known.
//! Practice 4.brute-force.
//! Attacks: `tests/suite/attacks/s15_broken_authentication/`, `tests/suite/attacks/s04_rate_limits/`.

use crate::{
    access::Transport,
    accounts::{
        AccountId, Email,
        proof::{Claim, Purpose},
    },
    api::{
        mailed,
        shapes::CurrentPassword,
        sign_in::{self, Basis, Carriage, Evidence, LoginAnswer, SecondFactorAwaited},
        tokens::RefreshIn,
    },
    audit::{
        self, Entry, Event,
        alerts::signals::{Kind, Signal},
    },
    credentials::{
        self,
        password::{Password, StoredHash, Verdict},
        store::ForSignIn,
    },
    edge::{
        guard::{Anyone, Caller},
        known_device::{self, KnownDevice},
        rate_limit::{Count, Quota, Spent, give_back, spend},
        valid::{Field, Valid},
    },
    error::{ApiError, ErrorCode},
    letters::Letter,
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
use utoipa::ToSchema;
use uuid::Uuid;

/// An address and its password.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The account's address.
    #[garde(dive)]
    #[schema(value_type = Email)]
    email: Field<Email>,
    /// The account's password.
    #[garde(skip)]
    #[schema(value_type = CurrentPassword)]
    password: Password,
    /// How the session is carried: by a cookie, or by tokens in headers.
    #[garde(skip)]
    #[serde(default = "sign_in::by_cookie")]
    transport: Transport,
    /// Where the client keeps the refresh token, with `transport` `token`; `cookie` otherwise.
    #[garde(skip)]
    refresh_in: Option<RefreshIn>,
}

/// Sign in
///
/// Sets the session cookie or gives tokens, and sets a cookie by which this device is known next time. Sessions that the call itself
/// carries, by cookie or token, end. An account with a second factor is asked for it first: 202.
#[utoipa::path(post, path = "/v1/auth/login", tag = "auth", request_body = Login,
    responses((status = 200, description = "Signed in", body = LoginAnswer, headers(("Set-Cookie"))),
        (status = 202, description = "The password is right; the second factor is awaited", body = SecondFactorAwaited)))]
pub async fn login(caller: Anyone, state: Data<State>, session: Session, body: Valid<Json<Login>>) -> Result<HttpResponse, ApiError> {
    let Login { email, password, transport, refresh_in } = body.0.into_inner();
    let carriage = Carriage::of(transport, refresh_in)?;
    let email = email.take("email")?;
    let device = known_device::read(&state, caller.caller.device_cookie.as_deref(), &email);
    let failures = Count::of(&state, Quota::LoginFailures, &[email.as_str()]);
    let spent = spend(&state, &quotas(&state, &email, &caller.caller, device, failures)).await?;
    let verified = verify(&state, &email, &password, device, &spent).await;
    // only a wrong password counts: neither the owner's own sign-ins nor our own faults may lock the owner out
    if !matches!(&verified, Ok(Err(_))) {
        give_back(&state, &spent).await?;
    }
    let proven = match verified? {
        Ok(proven) => proven,
        Err(refused) => return refuse(&state, &caller.caller, &email, refused).await,
    };
    let Proven { account, hash, upgraded, device } = proven;
    let basis = Basis::Password { hash, upgraded };
    sign_in::proceed(&state, &caller, &session, Evidence { account, email, basis, carriage, device }).await
}

/// What is counted before anything is looked at.
fn quotas(state: &State, email: &Email, caller: &Caller, device: Option<KnownDevice>, failures: Count) -> Vec<Count> {
    let (email, network) = (email.as_str(), caller.client.network().to_string());
    match device {
        Some(device) => vec![Count::of(state, Quota::LoginFromDevice, &[email, &device.id.to_string()]), failures],
        None => vec![
            Count::of(state, Quota::LoginFromAddress, &[email, &network]),
            Count::of(state, Quota::LoginFromNetwork, &[&network]),
            Count::of(state, Quota::LoginToAccount, &[email]),
            failures,
        ],
    }
}

/// The right password, where it counts.
struct Proven {
    account: Uuid,
    hash: StoredHash,
    upgraded: Option<StoredHash>,
    /// The device, when the account knows it.
    device: Option<KnownDevice>,
}

/// Refused; nobody is told why.
struct Refused {
    account: Option<Uuid>,
    /// It was the right password, on an unknown device, after too many wrong ones.
    needs_link: bool,
}

/// `Err(Refused)`: a wrong password or what looks like one. The outer error: our own fault.
async fn verify(
    state: &State,
    email: &Email,
    password: &Password,
    device: Option<KnownDevice>,
    spent: &Spent,
) -> Result<Result<Proven, Refused>, ApiError> {
    let found = credentials::store::for_sign_in(&mut *state.pool.acquire().await?, email).await?;
    let verdict = state.passwords.verify(password, found.as_ref().map(|found| found.hash.clone())).await?;
    let (Some(ForSignIn { account, hash, devices_known_since }), Verdict::Right { upgraded }) = (found.clone(), verdict) else {
        return Ok(Err(Refused { account: found.map(|found| found.account), needs_link: false }));
    };
    let device = device.filter(|device| device.since >= devices_known_since);
    // the one that is just counted is not one of them
    if device.is_none() && spent.is_beyond(state, Quota::LoginFailures) {
        return Ok(Err(Refused { account: Some(account), needs_link: true }));
    }
    Ok(Ok(Proven { account, hash, upgraded, device }))
}

async fn refuse(state: &State, caller: &Caller, email: &Email, refused: Refused) -> Result<HttpResponse, ApiError> {
    metrics::counter!("portcullis_logins_total", "outcome" => "refused").increment(1);
    note_wrong_password(state, caller, email.as_str(), refused.account);
    let detail = json!({ "needs_link": refused.needs_link });
    let entry = Entry::new(Event::SignInRefused, &caller.origin, None, refused.account).refused().detail(detail);
    audit::record(&mut *state.pool.acquire().await?, &state.keyring, state.clock.now(), entry).await?;
    if let (true, Some(account)) = (refused.needs_link, refused.account) {
        let (state, email) = (state.clone(), email.clone());
        // after the answer, which must take the same time whether the password was right or not
        actix_web::rt::spawn(async move {
            if let Err(error) = mail_trust_link(&state, &email, account).await {
                tracing::warn!(%error, "the letter that an unknown device needs was not sent");
            }
        });
    }
    Err(ApiError::new(ErrorCode::InvalidCredentials))
}

/// Leaves a mark for the alerts: from this network, a password that is not this address's.
pub(super) fn note_wrong_password(state: &State, caller: &Caller, email: &str, account: Option<Uuid>) {
    let signal = Signal::between(Kind::SignInRefused, &state.keyring, &caller.client.network().to_string(), email);
    state.signals.note(signal.about(account, caller.origin.request), state.clock.now());
}

async fn mail_trust_link(state: &State, email: &Email, account: Uuid) -> Result<(), ApiError> {
    // not one of the quotas that a stranger can probe: it would tell that the password was right
    if !mailed::may_notify(state, email).await? {
        return Ok(());
    }
    let claim =
        Claim { purpose: Purpose::TrustDevice, email, account: Some(AccountId(account)), session: None, lifetime: state.settings.terms.proof };
    let mut transaction = state.pool.begin().await?;
    mailed::send_proof(&mut transaction, state, claim, |issued| Letter::TrustDevice(issued)).await?;
    transaction.commit().await?;
    mailed::sent(state);
    Ok(())
}
