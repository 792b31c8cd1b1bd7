//! Dealing with what webhooks told: each message once. Messages are shared out row by row with a lease; the effect, its event and the mark
//! that it happened are one transaction, so that a crash leaves all of it or nothing, and two nodes with one message cannot both have it.
//! Practices 11.replay, 11.audit. Attacks: `tests/suite/attacks/s11_webhooks/`, faults: `tests/cluster/inbound_webhooks.rs`.

use crate::{
    access::role::{self, AccessError, Actor},
    accounts::{self, AccountId, Email, directory},
    audit::{self, Entry, Event, Origin},
    platform::{db::StoreError, outbox},
    sessions::disabling::{self, By, DisablingError},
    state::State,
    webhooks::inbound::{
        self, Effect,
        store::{self, Due},
    },
};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// A message that was taken and not dealt with within this time is up for grabs again: its node has died. Work on one batch is done in
/// less; where it is not, the mark decides.
const LEASE: Duration = Duration::seconds(10);

/// Messages taken at once.
const BATCH: i64 = 20;

/// Why a message was not dealt with.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// It will not be another time either.
    #[error("{0}")]
    ForGood(&'static str),
    /// It may be another time.
    #[error(transparent)]
    ForNow(#[from] StoreError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Refused(#[from] AccessError),
    #[error(transparent)]
    Disabling(#[from] DisablingError),
}

/// Deals with all that is due. A message that fails holds no other up.
pub(super) async fn work(state: &State) -> Result<(), StoreError> {
    // a source that only other nodes know is theirs; one that nobody knows any more waits for its name
    let sources: Vec<String> = state.settings.inbound.sources.iter().map(|source| source.name.clone()).collect();
    if sources.is_empty() {
        return Ok(());
    }
    loop {
        let due = store::claim(&state.pool, &sources, state.clock.now(), LEASE, BATCH).await?;
        if due.is_empty() {
            return Ok(());
        }
        for message in due {
            if let Err(failure) = process(state, &message).await {
                put_off(state, &message, &failure).await?;
            }
        }
    }
}

async fn process(state: &State, message: &Due) -> Result<(), Failure> {
    let now = state.clock.now();
    let source = state.settings.inbound.source(&message.source).ok_or(Failure::ForGood("unknown_source"))?;
    let (version, sealed) = message.key_version.zip(message.sealed.as_deref()).ok_or(Failure::ForGood("no_contents"))?;
    let body = inbound::open(&state.keyring, message.id, version, sealed)?;
    let mut transaction = state.pool.begin().await?;
    // first: whoever has the same message waits here, and finds it done
    if !store::finish(&mut transaction, message.id, now).await? {
        return Ok(());
    }
    let nothing_done = match source.effect {
        Effect::Record => None,
        Effect::Offboard => offboard(&mut transaction, state, message, &body, now).await?,
    };
    let origin = Origin::service();
    let entry = Entry::new(Event::WebhookProcessed, &origin, None, None);
    let detail = json!({
        "webhook": message.id, "source": message.source, "type": message.kind, "try": message.attempts, "reason": nothing_done,
    });
    audit::record(&mut transaction, &state.keyring, now, entry.detail(detail)).await?;
    transaction.commit().await?;
    metrics::counter!("portcullis_inbox_processed_total", "outcome" => "processed").increment(1);
    Ok(())
}

/// `user.deactivated`, as much of it as is read.
#[derive(Deserialize)]
struct Deactivated {
    data: Person,
}

/// Whom it is about: by the address, which both sides know; or by the id here, for a sender that keeps it.
#[derive(Deserialize)]
struct Person {
    email: Option<String>,
    /// Beside an address it may be a number of the sender's.
    id: Option<Value>,
}

/// Disables the account that the message names. Gives a word for the log where there is none: a sender that knows people by other addresses
/// takes them for disabled.
async fn offboard(
    connection: &mut PgConnection,
    state: &State,
    message: &Due,
    body: &[u8],
    now: OffsetDateTime,
) -> Result<Option<&'static str>, Failure> {
    if message.kind.as_deref() != Some("user.deactivated") {
        return Ok(None);
    }
    let Deactivated { data } = serde_json::from_slice(body).map_err(|_| Failure::ForGood("no_person"))?;
    // behind the lock: whose address it is may be changing
    role::begin_change(connection, Actor::Source, None, now).await?;
    let account = match (data.email, data.id) {
        (Some(email), _) => {
            let email = Email::parse(&email).map_err(|_| Failure::ForGood("no_person"))?;
            accounts::store::find_by_email(connection, &email).await?.map(|(account, _)| account)
        }
        (None, Some(Value::String(id))) => {
            let id = Uuid::try_parse(&id).map_err(|_| Failure::ForGood("no_person"))?;
            directory::store::find(connection, AccountId(id), now).await?.map(|found| found.id)
        }
        (None, _) => return Err(Failure::ForGood("no_person")),
    };
    let Some(account) = account else { return Ok(Some("nobody")) };
    let origin = Origin::service();
    let by = By { origin: &origin, actor: None, webhook: Some(message.id) };
    disabling::disable(connection, (&state.keyring, &state.revocations), account, &by, now).await?;
    Ok(None)
}

/// Later; after the last try, or where it is of no use, never: then the message stays for an operator to look at.
async fn put_off(state: &State, message: &Due, failure: &Failure) -> Result<(), StoreError> {
    let (id, now) = (message.id, state.clock.now());
    let is_dead = matches!(failure, Failure::ForGood(_)) || message.attempts >= state.settings.inbound.attempts;
    let outcome = if is_dead { "dead" } else { "failed" };
    tracing::warn!(webhook = %id, source = message.source, attempts = message.attempts, error = %failure, outcome, "a webhook was not dealt with");
    let mut transaction = state.pool.begin().await?;
    if is_dead {
        if !store::bury(&mut transaction, id, now).await? {
            return Ok(());
        }
        let origin = Origin::service();
        let entry = Entry::new(Event::WebhookFailed, &origin, None, None).refused();
        let detail = json!({ "webhook": id, "source": message.source, "type": message.kind, "try": message.attempts, "reason": reason(failure) });
        audit::record(&mut transaction, &state.keyring, now, entry.detail(detail)).await?;
    } else {
        store::postpone(&mut transaction, id, now + outbox::back_off(message.attempts)).await?;
    }
    transaction.commit().await?;
    metrics::counter!("portcullis_inbox_processed_total", "outcome" => outcome).increment(1);
    Ok(())
}

fn reason(failure: &Failure) -> &'static str {
    match failure {
        Failure::ForGood(reason) => reason,
        Failure::Refused(AccessError::LastAdministrator) | Failure::Disabling(DisablingError::Access(AccessError::LastAdministrator)) => {
            "last_administrator"
        }
        _ => "failed",
    }
}
