//! What a proof buys, whatever the proof: a session, or where the account has a second factor, the question for it first. Every way in
//! ends here, so that none gets around it. What was proven is looked at once more in the transaction that starts the session.
//! Practices 1.session, 10.mfa, 14.rotation. Attacks: `tests/suite/attacks/s10_access_control/`, `tests/suite/attacks/s14_sessions/`.

use crate::{
    access::{Principal, Transport},
    accounts::{
        self, AccountId, Email,
        proof::{self, Claim, Purpose},
    },
    api::{
        csrf::bind_cookie,
        mailed, passkeys,
        second_factor::{self, Shown},
        shapes::OpaqueToken,
        tokens::{self, Grant, RefreshIn, Tokens},
    },
    audit::{
        self, Entry, Event,
        alerts::signals::{Kind, Signal},
    },
    credentials::{
        self,
        challenge::{self, Begin},
        federation,
        passkey::{self, Question},
        password::StoredHash,
        second_factor::{Factors, Method, store::factors},
    },
    edge::{
        guard::{Anyone, Caller},
        known_device::{self, KnownDevice},
        rate_limit::{Count, Quota, forget, give_back},
    },
    error::{ApiError, ErrorCode},
    letters::Letter,
    platform::crypto::SecretToken,
    sessions::{self, Assured, Device, Started, refresh},
    state::State,
};
use actix_session::Session;
use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

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

/// A sign-in that waits for the second factor.
#[derive(Serialize, ToSchema)]
pub struct SecondFactorAwaited {
    /// To be sent with the second factor. It signs nobody in by itself.
    #[schema(value_type = OpaqueToken)]
    mfa_token: String,
    /// What the account has to choose from.
    #[schema(max_items = 3)]
    methods: Vec<Method>,
    /// Seconds until it is over.
    #[schema(minimum = 0, maximum = 900, example = 600)]
    expires_in: i64,
}

/// Where a body does not say how.
pub(super) fn by_cookie() -> Transport {
    Transport::Cookie
}

/// How the session is to be carried.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Carriage {
    pub transport: Transport,
    pub refresh_in: RefreshIn,
}

impl Carriage {
    /// As it was asked for.
    ///
    /// # Errors
    /// A cookie with a place for the refresh token.
    pub fn of(transport: Transport, refresh_in: Option<RefreshIn>) -> Result<Self, ApiError> {
        if transport == Transport::Cookie && refresh_in.is_some() {
            return Err(ApiError::invalid_field("refresh_in", "needs transport token"));
        }
        Ok(Self { transport, refresh_in: refresh_in.unwrap_or_default() })
    }
}

/// What somebody has shown.
#[derive(Clone)]
pub(super) struct Evidence {
    pub account: Uuid,
    pub email: Email,
    pub basis: Basis,
    pub carriage: Carriage,
    /// The device, when the account knows it.
    pub device: Option<KnownDevice>,
}

/// The first proof.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Basis {
    /// A password, as its hash was when it was verified, and a stronger hash of it where there is one.
    Password { hash: StoredHash, upgraded: Option<StoredHash> },
    /// A passkey, whose device verified who holds it.
    Passkey(Uuid),
    /// An identity at another service, and when the person proved themselves there.
    Identity { id: Uuid, at: OffsetDateTime },
}

impl Basis {
    /// What it is worth by itself.
    fn assured(&self, now: OffsetDateTime) -> Assured {
        match self {
            Self::Password { .. } => Assured { level: 1, amr: vec!["pwd".into()], at: now },
            Self::Passkey(_) => Assured { level: 2, amr: passkeys::proof::AMR.map(str::to_owned).to_vec(), at: now },
            // RFC 8176 has no word for it
            Self::Identity { at, .. } => Assured { level: 1, amr: vec!["fed".into()], at: *at },
        }
    }

    /// For the record.
    fn method(&self) -> &'static str {
        match self {
            Self::Password { .. } => "password",
            Self::Passkey(_) => "passkey",
            Self::Identity { .. } => "identity",
        }
    }

    /// Whether it still holds, and until the end of the transaction.
    async fn holds(&self, connection: &mut PgConnection, account: Uuid, now: OffsetDateTime) -> Result<bool, ApiError> {
        match self {
            Self::Password { hash, upgraded } => Ok(credentials::store::confirm_password(connection, account, hash, upgraded.as_ref()).await?),
            Self::Passkey(id) => Ok(passkey::store::hold(connection, account, *id).await?),
            Self::Identity { id, .. } => Ok(federation::store::confirm(connection, account, *id, now).await?),
        }
    }
}

/// A sign-in that waits, sealed in its challenge.
#[derive(Serialize, Deserialize)]
pub(super) struct Waiting {
    pub basis: Basis,
    pub carriage: Carriage,
    pub device: Option<KnownDevice>,
    /// What the account's passkeys were asked, if they were.
    #[serde(default)]
    pub question: Option<Question>,
}

/// Signs somebody in who has shown a first proof, or asks for the second factor.
pub(super) async fn proceed(state: &State, anyone: &Anyone, session: &Session, evidence: Evidence) -> Result<HttpResponse, ApiError> {
    if evidence.basis.assured(state.clock.now()).level < 2 {
        let factors = factors(&mut *state.pool.acquire().await?, evidence.account).await?;
        if factors.is_on() {
            return ask(state, &anyone.caller, evidence, factors).await;
        }
    }
    match start(state, anyone, &evidence, None).await? {
        Outcome::Begun(begun) => answer(state, anyone, session, evidence, begun),
        // set up a moment ago
        Outcome::Wanting(factors) => ask(state, &anyone.caller, evidence, factors).await,
    }
}

/// Signs somebody in who was asked for the second factor. `None`: what they showed is wrong.
pub(super) async fn complete(
    state: &State,
    anyone: &Anyone,
    session: &Session,
    evidence: Evidence,
    (challenge, shown): (Uuid, &Shown),
) -> Result<Option<HttpResponse>, ApiError> {
    match start(state, anyone, &evidence, Some((challenge, shown))).await? {
        Outcome::Begun(begun) => answer(state, anyone, session, evidence, begun).map(Some),
        Outcome::Wanting(_) => Ok(None),
    }
}

async fn ask(state: &State, caller: &Caller, evidence: Evidence, factors: Factors) -> Result<HttpResponse, ApiError> {
    let (now, lifetime) = (state.clock.now(), state.settings.terms.challenge);
    let begin = Begin { purpose: challenge::Purpose::SignIn, account: Some(evidence.account), session: None, lifetime };
    let detail = json!({ "method": evidence.basis.method() });
    let waiting = Waiting { basis: evidence.basis, carriage: evidence.carriage, device: evidence.device, question: None };
    let mut transaction = state.pool.begin().await?;
    let token = challenge::issue(&mut transaction, &state.keyring, now, begin, &waiting).await?;
    let entry = Entry::own(Event::SecondFactorAwaited, &caller.origin, evidence.account).detail(detail);
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    transaction.commit().await?;
    metrics::counter!("portcullis_logins_total", "outcome" => "second_factor").increment(1);
    Ok(HttpResponse::Accepted().json(SecondFactorAwaited {
        mfa_token: token.expose().to_owned(),
        methods: factors.methods(),
        expires_in: lifetime.whole_seconds(),
    }))
}

fn answer(state: &State, anyone: &Anyone, session: &Session, evidence: Evidence, begun: Begun) -> Result<HttpResponse, ApiError> {
    let Begun { started, granted } = begun;
    let mut response = HttpResponse::Ok();
    response.cookie(known_device::cookie(state, anyone.caller.device_cookie.as_deref(), evidence.device, &evidence.email));
    let Some((grant, access_token)) = granted else {
        return Ok(response.json(LoginAnswer::Cookie(SignedInAnswer {
            account_id: AccountId(evidence.account),
            session_id: started.id,
            csrf_token: bind_cookie(session, started.id)?,
            idle_expires_at: started.idle_expires_at,
            expires_at: started.absolute_expires_at,
        })));
    };
    session.purge();
    let tokens = tokens::give(&mut response, state, grant, access_token, evidence.carriage.refresh_in);
    Ok(response.json(LoginAnswer::Token(tokens)))
}

/// A session, and with tokens what they are made of.
struct Begun {
    started: Started,
    granted: Option<(Grant, (String, i64))>,
}

enum Outcome {
    Begun(Begun),
    /// A second factor is missing or wrong.
    Wanting(Factors),
}

async fn start(state: &State, anyone: &Anyone, evidence: &Evidence, second: Option<(Uuid, &Shown)>) -> Result<Outcome, ApiError> {
    let notice = match evidence.device {
        Some(_) => None,
        None => mailed::notice(state, &evidence.email).await?,
    };
    tokens::know_keys(state).await?;
    let outcome = start_in_transaction(state, anyone, evidence, second, notice.is_some()).await;
    if let (Some(notice), false) = (&notice, matches!(outcome, Ok(Outcome::Begun(_)))) {
        give_back(state, notice).await?;
    }
    outcome
}

async fn start_in_transaction(
    state: &State,
    anyone: &Anyone,
    evidence: &Evidence,
    second: Option<(Uuid, &Shown)>,
    may_notify: bool,
) -> Result<Outcome, ApiError> {
    let (now, account, transport) = (state.clock.now(), evidence.account, evidence.carriage.transport);
    let mut transaction = state.pool.begin().await?;
    proof::store::lock_mailbox(&mut transaction, &evidence.email).await?;
    let is_first = accounts::store::mark_signed_in(&mut transaction, AccountId(account), now).await?;
    // proof or account changed while it was verified
    let (Some(is_first), true) = (is_first, evidence.basis.holds(&mut transaction, account, now).await?) else {
        return Err(ApiError::new(ErrorCode::InvalidCredentials));
    };
    let mut assured = evidence.basis.assured(now);
    let mut method = None;
    if let Some((challenge, shown)) = second {
        let Some(spent) = second_factor::spend(&mut transaction, state, account, &evidence.email, shown).await? else {
            return Ok(Outcome::Wanting(factors(&mut transaction, account).await?));
        };
        challenge::spend(&mut transaction, challenge, now).await?;
        method = Some(spent.method);
        (assured.level, assured.at) = (2, now);
        assured.amr.extend(spent.amr());
    } else if assured.level == 2 {
        forget(state, &mut transaction, Count::of(state, Quota::SecondFactorFailures, &[&account.to_string()])).await?;
    } else {
        let factors = factors(&mut transaction, account).await?;
        if factors.is_on() {
            return Ok(Outcome::Wanting(factors));
        }
    }
    forget(state, &mut transaction, Count::of(state, Quota::LoginFailures, &[evidence.email.as_str()])).await?;
    end_sessions_before(&mut transaction, state, anyone).await?;
    let device = device_of(state, &anyone.caller);
    let started = sessions::start(&mut transaction, account, transport, &assured, &device, now, state.settings.sessions).await?;
    let is_new = evidence.device.is_none();
    let detail = json!({ "session": started.id, "method": evidence.basis.method(), "second_factor": method, "transport": transport.name(), "new_device": is_new });
    let entry = Entry::own(Event::SignedIn, &anyone.caller.origin, account).detail(detail);
    audit::record(&mut transaction, &state.keyring, now, entry).await?;
    if is_new && !is_first && may_notify {
        tell_of_new_device(&mut transaction, state, &evidence.email, &started, &device, account).await?;
    }
    let granted = match transport {
        Transport::Cookie | Transport::Outside | Transport::Key => None,
        Transport::Token => Some(first_tokens(&mut transaction, state, evidence, &started, assured).await?),
    };
    transaction.commit().await?;
    metrics::counter!("portcullis_logins_total", "outcome" => "ok").increment(1);
    state.signals.note(Signal::between(Kind::SignedIn, &state.keyring, "", evidence.email.as_str()), now);
    mailed::sent(state);
    Ok(Outcome::Begun(Begun { started, granted }))
}

async fn first_tokens(
    connection: &mut PgConnection,
    state: &State,
    evidence: &Evidence,
    started: &Started,
    assured: Assured,
) -> Result<(Grant, (String, i64)), ApiError> {
    let Started { id, idle_expires_at, absolute_expires_at } = *started;
    let Assured { level, amr, at } = assured;
    let principal = Principal { account: evidence.account, session: id, transport: Transport::Token, assurance: level, authenticated_at: at };
    let tie = (evidence.carriage.refresh_in == RefreshIn::Cookie).then(SecretToken::generate);
    let refresh_token = refresh::first(connection, id, tie.as_ref(), state.clock.now()).await?;
    let access_token = tokens::access_token(connection, state, principal, amr, absolute_expires_at).await?;
    Ok((Grant { principal, refresh_token, tie, idle_expires_at, absolute_expires_at }, access_token))
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
