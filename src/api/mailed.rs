//! What the stories with letters share: asking for one, sending one, and the link token or typed code that comes back.
//! Practice 4.sensitive-routes. Attacks: `tests/suite/attacks/s04_rate_limits/letter_bombing.rs`.

use crate::{
    accounts::{
        Email,
        proof::{self, Claim, Issued, Proof, ProofError, Proven, Purpose},
    },
    credentials::password::{Password, StoredHash},
    edge::{
        guard::Caller,
        rate_limit::{Count, Quota, Spent, give_back, spend, try_spend},
    },
    error::ApiError,
    letters::{self, Letter},
    platform::{db::StoreError, outbox},
    state::State,
};
use actix_web::HttpResponse;
use serde::Serialize;
use sqlx::PgConnection;
use time::Duration;
use utoipa::ToSchema;
use uuid::Uuid;

/// A letter is on its way, and something waits for what it carries. The same for every address.
#[derive(Serialize, ToSchema)]
pub struct LetterSent {
    /// To be sent with the code, when it is typed.
    proof_id: Uuid,
    /// Seconds until link and code run out.
    #[schema(minimum = 0, maximum = 604800, example = 900)]
    expires_in: i64,
}

impl LetterSent {
    pub(super) fn answer(proof_id: Uuid, lifetime: Duration) -> HttpResponse {
        HttpResponse::Accepted().json(Self { proof_id, expires_in: lifetime.whole_seconds() })
    }
}

/// An address as the database has it: it passed its rules when it was stored.
pub(super) fn stored(address: &str) -> Result<Email, ApiError> {
    Email::parse(address).map_err(|reason| ApiError::internal(anyhow::anyhow!("a stored address {reason}")))
}

/// What a body shows: `token`, or `proof_id` and `code`.
pub(super) fn proof(token: Option<String>, proof_id: Option<Uuid>, code: Option<String>) -> Result<Proof, ApiError> {
    match (token, proof_id, code) {
        (Some(token), None, None) => Ok(Proof::Link(token)),
        (None, Some(id), Some(code)) => Ok(Proof::Code { id, code }),
        _ => Err(ApiError::invalid_field("token", "or proof_id and code must be given")),
    }
}

/// Counts a letter that a stranger causes, for known and unknown mailboxes alike: not too many from one network, and for one
/// mailbox not too many and not too soon after the last. From one network a mailbox gets fewer than it gets at all: whoever asks for
/// letters in the owner's name leaves the owner one elsewhere.
pub(super) async fn spend_letter(state: &State, caller: &Caller, email: &Email) -> Result<(), ApiError> {
    let (mailbox, network) = (email.mailbox(), caller.client.network().to_string());
    let mut counts = of_mailbox(state, &mailbox);
    let count = |quotas: [Quota; 2], of: &[&str]| quotas.map(|quota| Count::of(state, quota, of));
    counts.extend(count([Quota::LettersFromAddress, Quota::LettersFromAddressADay], &[&mailbox, &network]));
    counts.extend(count([Quota::LettersFromNetwork, Quota::LettersFromNetworkADay], &[&network]));
    spend(state, &counts).await.map(drop)
}

/// Counts a letter that somebody known causes.
pub(super) async fn spend_mailbox(state: &State, email: &Email) -> Result<(), ApiError> {
    spend(state, &of_mailbox(state, &email.mailbox())).await.map(drop)
}

fn of_mailbox(state: &State, mailbox: &str) -> Vec<Count> {
    let cooldown = state.settings.quotas.letter_cooldown.is_positive().then_some(Quota::LetterCooldown);
    [Quota::Letters, Quota::LettersADay].into_iter().chain(cooldown).map(|quota| Count::of(state, quota, &[mailbox])).collect()
}

/// Checks a proof, within the quota of wrong ones from one network: right ones are given back.
pub(super) async fn check(state: &State, caller: &Caller, purposes: &[Purpose], proof: &Proof) -> Result<Proven, ApiError> {
    let spent = spend(state, &[Count::of(state, Quota::WrongProofs, &[&caller.client.network().to_string()])]).await?;
    let checked = proof::check(&mut *state.pool.acquire().await?, &state.keyring, state.clock.now(), purposes, proof).await;
    if !matches!(checked, Err(ProofError::Invalid)) {
        give_back(state, &spent).await?;
    }
    Ok(checked?)
}

/// Whether one more notice may go to this mailbox. What the notice tells about happens in any case.
pub(super) async fn may_notify(state: &State, email: &Email) -> Result<bool, ApiError> {
    Ok(notice(state, email).await?.is_some())
}

/// The same for a notice that somebody else can cause again and again: it must not use up what others are sent by.
pub(super) async fn may_notify_of(state: &State, what: &str, email: &Email) -> Result<bool, ApiError> {
    Ok(count_notice(state, &[&email.mailbox(), what]).await?.is_some())
}

/// The same for whoever may have nothing to tell in the end, and gives it back then.
pub(super) async fn notice(state: &State, email: &Email) -> Result<Option<Spent>, ApiError> {
    count_notice(state, &[&email.mailbox()]).await
}

async fn count_notice(state: &State, of: &[&str]) -> Result<Option<Spent>, ApiError> {
    let spent = try_spend(state, &[Count::of(state, Quota::Notices, of)]).await?.ok();
    if spent.is_none() {
        metrics::counter!("portcullis_letters_total", "outcome" => "suppressed").increment(1);
    }
    Ok(spent)
}

/// Judges and hashes a new password, so many times with one proof or for one person (`of`): a refused one spends nothing else.
pub(super) async fn new_password(state: &State, of: Uuid, password: &Password, context: Vec<String>) -> Result<StoredHash, ApiError> {
    spend(state, &[Count::of(state, Quota::NewPasswords, &[&of.to_string()])]).await?;
    Ok(state.passwords.create(password, context).await?)
}

/// Issues a proof and sends the letter that carries it, or that says why there is none to carry: the same work either way.
pub(super) async fn send_proof(
    connection: &mut PgConnection,
    state: &State,
    claim: Claim<'_>,
    letter: impl for<'i> FnOnce(&'i Issued) -> Letter<'i>,
) -> Result<Issued, ApiError> {
    let issued = proof::issue(connection, &state.keyring, state.clock.now(), claim).await?;
    send(connection, state, claim.email, letter(&issued)).await?;
    Ok(issued)
}

/// Puts a letter into the outbox, in the caller's transaction; [`sent`] wakes the job after the commit.
pub(super) async fn send(connection: &mut PgConnection, state: &State, to: &Email, letter: Letter<'_>) -> Result<(), StoreError> {
    let now = state.clock.now();
    // a letter whose link has run out is not worth sending
    let until = letter.lifetime().map(|lifetime| now + lifetime);
    outbox::enqueue(connection, &state.keyring, now, &letters::write(to, &state.settings.public_url, letter), until).await
}

/// After the commit: a letter waits.
pub(super) fn sent(state: &State) {
    state.letter_waits.notify_one();
}
