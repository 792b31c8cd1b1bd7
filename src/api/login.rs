//! Signing in with a password, for a cookie or for tokens, and out. Quotas first, then the look-up, then always exactly one argon2 verification, then the
//! same answer for a wrong password and an unknown address.
//!
//! A known device has a quota of its own, so that an attack on an account does not lock its owner out. After a hundred wrong
//! passwords in a row (NIST SP 800-63B-4 §3.2.2) an unknown device is refused whatever it sends, in the same words; the right
//! password then makes a letter, whose link makes the device known.
//! Practices 1.session, 4.brute-force, 13.token, 14.rotation, 14.invalidate-on-sign-out.
//! Attacks: `tests/suite/attacks/s14_sessions/`, `tests/suite/attacks/s15_broken_authentication/`, `tests/suite/attacks/s04_rate_limits/`.

use crate::{
    access::{Principal, Transport},
    accounts::{
        self, AccountId, Email,
        proof::{self, Claim, Purpose},
    },
    api::{
        mailed,
        shapes::{CurrentPassword, OpaqueToken},
        tokens::{self, Grant, RefreshIn, Tokens},
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
        guard::{Anyone, Caller, SignedIn, WithCookie},
        known_device::{self, KnownDevice},
        rate_limit::{Count, Quota, Spent, forget, give_back, spend},
        refresh_cookie,
        session_cookie::{CSRF, SESSION_ID},
        valid::{Field, Valid},
    },
    error::{ApiError, ErrorCode},
    letters::Letter,
    platform::crypto::SecretToken,
    sessions::{self, Device, Started, refresh},
    state::State,
};
use actix_session::Session;
use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::header::CLEAR_SITE_DATA,
    web::{Data, Json},
};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;
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
    #[serde(default = "by_cookie")]
    transport: Transport,
    /// Where the client keeps the refresh token, with `transport` `token`; `cookie` otherwise.
    #[garde(skip)]
    refresh_in: Option<RefreshIn>,
}

fn by_cookie() -> Transport {
    Transport::Cookie
}

/// A new session with a cookie.
#[derive(Serialize, ToSchema)]
pub struct SignedInAnswer {
    /// Who is signed in.
    account_id: AccountId,
    /// Names the session in lists. Not what authenticates it.
    session_id: Uuid,
    /// To be sent as `X-CSRF-Token` on unsafe calls.
    #[schema(value_type = OpaqueToken)]
    csrf_token: String,
    /// The session ends at this time unless it is used before.
    #[serde(with = "time::serde::rfc3339")]
    idle_expires_at: OffsetDateTime,
    /// The session ends at this time in any case.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// The answer by transport.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum LoginAnswer {
    /// With `transport` `cookie`.
    Cookie(SignedInAnswer),
    /// With `transport` `token`.
    Token(Tokens),
}

/// Sign in
///
/// Sets the session cookie or gives tokens, and sets a cookie by which this device is known next time. Sessions that the call itself
/// carries, by cookie or token, end.
#[utoipa::path(post, path = "/v1/auth/login", tag = "auth", request_body = Login,
    responses((status = 200, description = "Signed in", body = LoginAnswer, headers(("Set-Cookie")))))]
pub async fn login(caller: Anyone, state: Data<State>, session: Session, body: Valid<Json<Login>>) -> Result<HttpResponse, ApiError> {
    let Login { email, password, transport, refresh_in } = body.0.into_inner();
    if transport == Transport::Cookie && refresh_in.is_some() {
        return Err(ApiError::invalid_field("refresh_in", "needs transport token"));
    }
    let refresh_in = refresh_in.unwrap_or_default();
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
    let device = known_device::cookie(&state, caller.caller.device_cookie.as_deref(), proven.device, &email);
    let Begun { started, granted } = start_session(&state, &email, &proven, &caller, (transport, refresh_in), failures).await?;
    let mut response = HttpResponse::Ok();
    response.cookie(device);
    let Some((grant, access_token)) = granted else {
        return Ok(response.json(LoginAnswer::Cookie(SignedInAnswer {
            account_id: AccountId(proven.account),
            session_id: started.id,
            csrf_token: bind_cookie(&session, started.id)?,
            idle_expires_at: started.idle_expires_at,
            expires_at: started.absolute_expires_at,
        })));
    };
    session.purge();
    let tokens = tokens::give(&mut response, &state, grant, access_token, refresh_in);
    Ok(response.json(LoginAnswer::Token(tokens)))
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

/// A session, and with tokens what they are made of.
struct Begun {
    started: Started,
    granted: Option<(Grant, (String, i64))>,
}

async fn start_session(
    state: &State,
    email: &Email,
    proven: &Proven,
    anyone: &Anyone,
    (transport, refresh_in): (Transport, RefreshIn),
    failures: Count,
) -> Result<Begun, ApiError> {
    let now = state.clock.now();
    let may_notify = proven.device.is_some() || mailed::may_notify(state, email).await?;
    tokens::know_keys(state).await?;
    let mut transaction = state.pool.begin().await?;
    let is_first = accounts::store::mark_signed_in(&mut transaction, AccountId(proven.account), now).await?;
    let is_confirmed = credentials::store::confirm_password(&mut transaction, proven.account, &proven.hash, proven.upgraded.as_ref()).await?;
    // password or account changed while the password was verified
    let (true, Some(is_first)) = (is_confirmed, is_first) else { return Err(ApiError::new(ErrorCode::InvalidCredentials)) };
    forget(state, &mut transaction, failures).await?;
    end_sessions_before(&mut transaction, state, anyone).await?;
    let device = device_of(state, &anyone.caller);
    let started = sessions::start(&mut transaction, proven.account, transport, &device, now, state.settings.sessions).await?;
    let is_new = proven.device.is_none();
    let entry = Entry::own(Event::SignedIn, &anyone.caller.origin, proven.account)
        .detail(json!({ "session": started.id, "method": "password", "transport": transport.name(), "new_device": is_new }));
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    if is_new && !is_first && may_notify {
        tell_of_new_device(&mut transaction, state, email, &started, &device, proven.account).await?;
    }
    let granted = match transport {
        Transport::Cookie => None,
        Transport::Token => {
            let principal = Principal { account: proven.account, session: started.id, transport, assurance: 1, authenticated_at: now };
            let Started { idle_expires_at, absolute_expires_at, .. } = started;
            let tie = (refresh_in == RefreshIn::Cookie).then(SecretToken::generate);
            let refresh_token = refresh::first(&mut transaction, started.id, tie.as_ref(), now).await?;
            let grant = Grant { principal, amr: vec!["pwd".into()], refresh_token, tie, idle_expires_at, absolute_expires_at };
            let access_token = tokens::grant(&mut transaction, state, &grant).await?;
            Some((grant, access_token))
        }
    };
    transaction.commit().await?;
    metrics::counter!("portcullis_logins_total", "outcome" => "ok").increment(1);
    state.signals.note(Signal::between(Kind::SignedIn, &state.keyring, "", email.as_str()), now);
    mailed::sent(state);
    Ok(Begun { started, granted })
}

/// Those that this client brings along: what carries them is about to be overwritten.
async fn end_sessions_before(connection: &mut PgConnection, state: &State, anyone: &Anyone) -> Result<(), ApiError> {
    let by_principal = anyone.principal.map(|before| (before.account, before.session));
    let by_token = match &anyone.caller.refresh_cookie {
        Some(token) => refresh::store::session_of(connection, &SecretToken::sent(token.clone()).digest()).await?,
        None => None,
    };
    for (account, session) in [by_principal, by_token].into_iter().flatten() {
        sessions::end_own(connection, &state.revocations, account, session, state.clock.now()).await?;
    }
    Ok(())
}

async fn tell_of_new_device(
    connection: &mut PgConnection,
    state: &State,
    email: &Email,
    started: &Started,
    device: &Device,
    account: Uuid,
) -> Result<(), ApiError> {
    let claim = Claim {
        purpose: Purpose::DisownSession,
        email,
        account: Some(AccountId(account)),
        session: Some(started.id),
        lifetime: state.settings.terms.undo,
    };
    let issued = proof::issue(connection, &state.keyring, state.clock.now(), claim).await?;
    Ok(mailed::send(connection, state, email, Letter::NewDevice(&issued, &device.name)).await?)
}

/// What the device list says of this caller.
fn device_of(state: &State, caller: &Caller) -> Device {
    Device { name: caller.origin.device.clone(), address: state.settings.session_address.of(caller.client.0) }
}

/// A new key for the cookie, whatever key the browser came with (session fixation), and a new CSRF token.
pub(super) fn bind_cookie(session: &Session, id: Uuid) -> Result<String, ApiError> {
    let token = SecretToken::generate();
    session.clear();
    session.insert(SESSION_ID, id)?;
    session.insert(CSRF, token.expose())?;
    session.renew();
    Ok(token.expose().to_owned())
}

/// The session's CSRF token.
#[derive(Serialize, ToSchema)]
pub struct CsrfToken {
    /// To be sent as `X-CSRF-Token` on unsafe calls.
    #[schema(value_type = OpaqueToken)]
    pub(super) csrf_token: String,
}

/// Read the CSRF token
///
/// For pages that were loaded anew; the token stays the same until the session's id is renewed. Calls with access tokens need none.
#[utoipa::path(get, path = "/v1/auth/csrf", tag = "auth", responses((status = 200, description = "The token", body = CsrfToken)))]
pub async fn csrf(_: WithCookie, session: Session) -> Result<HttpResponse, ApiError> {
    let csrf_token = session.get(CSRF).ok().flatten().ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated))?;
    Ok(HttpResponse::Ok().json(CsrfToken { csrf_token }))
}

/// Sign out
///
/// The session ends on the server, with every token of it; its cookie is removed and leads nowhere.
#[utoipa::path(post, path = "/v1/auth/logout", tag = "auth", responses((status = 204, description = "Signed out", headers(("Set-Cookie"), ("Clear-Site-Data")))))]
pub async fn logout(signed_in: SignedIn, state: Data<State>, session: Session) -> Result<HttpResponse, ApiError> {
    let SignedIn { principal, caller } = signed_in;
    let now = state.clock.now();
    let mut transaction = state.pool.begin().await?;
    sessions::end_own(&mut transaction, &state.revocations, principal.account, principal.session, now).await?;
    let entry = Entry::own(Event::SignedOut, &caller.origin, principal.account).detail(json!({ "session": principal.session }));
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    Ok(signed_out(&principal, &session))
}

/// What a browser forgets of this origin when somebody signs out. Not `"cookies"`: that would take those of the whole registrable domain,
/// other services' too, and the one by which this device is known; ours are taken away by name.
const FORGET: &str = r#""cache", "storage""#;

/// With this answer goes what carried the session, and what a page has kept of it.
pub(super) fn take_away(answer: &mut HttpResponseBuilder, principal: &Principal, session: &Session) {
    answer.insert_header((CLEAR_SITE_DATA, FORGET));
    match principal.transport {
        Transport::Cookie => session.purge(),
        Transport::Token => refresh_cookie::removals().into_iter().for_each(|removal| _ = answer.cookie(removal)),
    }
}

/// The answer of having signed out.
pub(super) fn signed_out(principal: &Principal, session: &Session) -> HttpResponse {
    let mut answer = HttpResponse::NoContent();
    take_away(&mut answer, principal, session);
    answer.finish()
}
