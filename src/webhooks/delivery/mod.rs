//! What endpoints are told: messages made of events, shared out under their endpoint's lock with a number without gaps, and tried until they
//! arrive. At least once: whoever claims one holds it for a while, and who dies with it leaves it to others. Practices 11.signature, 11.https-only.
//! Attacks: `tests/suite/attacks/s11_webhooks/request_forgery.rs`; faults: `tests/cluster/webhooks.rs`.

pub mod store;

use crate::{
    audit::{Detail, told::Told},
    platform::{
        crypto,
        fenced::{Fenced, NoAnswer},
        keyring::Keyring,
    },
    webhooks::{
        endpoint::{Keys, PublishedEvent, TEST, Target, Unusable, store::SealedKeys},
        signature::{ID, Message, MessageId, SIGNATURE, TIMESTAMP, Timestamp},
    },
};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use std::time::Instant;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// The pause behind the first attempt; each one after is four times as long.
const FIRST_PAUSE: Duration = Duration::seconds(10);
/// The longest pause, whatever the other side asks for.
const LONGEST_PAUSE: Duration = Duration::hours(12);
/// A pause is up to so many percent shorter or longer: what failed together does not come back together.
const JITTER: i32 = 20;

/// The body of a message.
#[derive(Serialize)]
struct Body<'b> {
    r#type: &'b str,
    #[serde(with = "time::serde::rfc3339")]
    timestamp: OffsetDateTime,
    data: Data<'b>,
}

/// Ids and closed words only: what is personal is read from the API, by who may.
#[derive(Serialize)]
struct Data<'b> {
    sequence: i64,
    event_id: Option<Uuid>,
    outcome: &'b str,
    actor_id: Option<Uuid>,
    subject_id: Option<Uuid>,
    detail: &'b Detail,
}

/// A message to be stored.
pub struct Made {
    /// Its place in what the endpoint is told.
    pub sequence: i64,
    /// What it tells.
    pub event: String,
    /// Of which event; `None`: a test.
    pub event_id: Option<Uuid>,
    /// Its body.
    pub payload: String,
}

/// The message that tells of an event.
///
/// # Errors
/// When it cannot be written down, which there is no reason for.
pub fn tell(told: &Told, sequence: i64) -> Result<Made, serde_json::Error> {
    let Told { id, at, event, outcome, actor, subject, detail } = told;
    let data = Data { sequence, event_id: Some(*id), outcome, actor_id: *actor, subject_id: *subject, detail };
    let payload = serde_json::to_string(&Body { r#type: event, timestamp: *at, data })?;
    Ok(Made { sequence, event: event.clone(), event_id: Some(*id), payload })
}

/// A message that only shows that messages arrive.
///
/// # Errors
/// As [`tell`].
pub fn test(sequence: i64, now: OffsetDateTime) -> Result<Made, serde_json::Error> {
    let data = Data { sequence, event_id: None, outcome: "success", actor_id: None, subject_id: None, detail: &Detail::default() };
    let payload = serde_json::to_string(&Body { r#type: TEST, timestamp: now, data })?;
    Ok(Made { sequence, event: TEST.to_owned(), event_id: None, payload })
}

/// Whether an endpoint that wants these events (`None`: all) is told of this one.
#[must_use]
pub fn wants(events: Option<&[String]>, event: &str) -> bool {
    PublishedEvent::is(event) && events.is_none_or(|events| events.iter().any(|wanted| wanted == event))
}

/// How an attempt ended. The closed list: of what an endpoint says, nobody is shown more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, utoipa::ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// It was taken (2xx).
    Delivered,
    /// It was refused, or the other side is broken (4xx, 5xx).
    Refused,
    /// The other side is elsewhere (3xx): nobody is followed.
    Redirected,
    /// The other side wants nothing any more (410).
    Gone,
    /// No answer in time.
    TimedOut,
    /// No connection, no TLS with who should be there, or no HTTP.
    Unreachable,
    /// The name leads to no public address.
    Barred,
    /// It could not be signed: the keyring does not open the endpoint's keys.
    Unsigned,
}

impl AttemptOutcome {
    /// As it is kept and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Redirected => "redirected",
            Self::Gone => "gone",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::Barred => "barred",
            Self::Unsigned => "unsigned",
        }
    }

    fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Delivered,
            410 => Self::Gone,
            300..=399 => Self::Redirected,
            _ => Self::Refused,
        }
    }
}

/// A message that this node is to deliver now.
pub struct Claimed {
    /// Its id.
    pub id: Uuid,
    /// For whom.
    pub endpoint_id: Uuid,
    /// Where that is.
    pub url: String,
    /// What it tells.
    pub event: String,
    /// Its body.
    pub payload: String,
    /// Which attempt this is, of all.
    pub attempts: i32,
    /// Which attempt this is since it was made or sent again.
    pub tried: i32,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// What was answered.
    pub status: Option<u16>,
    /// How long it took.
    pub took: std::time::Duration,
    /// When the other side wants to be asked again.
    pub retry_after: Option<Duration>,
}

/// Tries it once.
pub async fn attempt(fenced: &Fenced, keyring: &Keyring, keys: &[SealedKeys], message: &Claimed, now: OffsetDateTime) -> Attempt {
    let begun = Instant::now();
    let ended = |outcome, status, retry_after| Attempt { outcome, status, took: begun.elapsed(), retry_after };
    let Ok(target) = message.url.parse::<Target>() else { return ended(AttemptOutcome::Barred, None, None) };
    let Ok(headers) = headers(keyring, keys, message, now) else {
        tracing::error!(endpoint = %message.endpoint_id, "a message to a webhook endpoint cannot be signed");
        return ended(AttemptOutcome::Unsigned, None, None);
    };
    match fenced.post(target.url(), headers, message.payload.clone(), now).await {
        Ok(answer) => ended(AttemptOutcome::of(answer.status), Some(answer.status), answer.retry_after),
        Err(NoAnswer::Barred(_)) => ended(AttemptOutcome::Barred, None, None),
        Err(NoAnswer::TimedOut) => ended(AttemptOutcome::TimedOut, None, None),
        Err(NoAnswer::Away(why)) => {
            tracing::debug!(endpoint = %message.endpoint_id, why, "a webhook endpoint does not answer");
            ended(AttemptOutcome::Unreachable, None, None)
        }
    }
}

/// Signed anew at each attempt, by all keys that count now, the current ones first.
fn headers(keyring: &Keyring, keys: &[SealedKeys], message: &Claimed, now: OffsetDateTime) -> Result<HeaderMap, Unusable> {
    let id: MessageId = format!("msg_{}", message.id.simple()).parse().map_err(|_| Unusable)?;
    let signed = Message { id: &id, timestamp: Timestamp::from(now), body: message.payload.as_bytes() };
    let sign = |keys: &SealedKeys| Keys::open(keyring, keys.id, keys.key_version, &keys.sealed)?.sign(signed);
    let (current, old) = keys.split_first().ok_or(Unusable)?;
    let mut signatures = vec![sign(current)?];
    // whoever has the current ones is told, also where the key that sealed those before them was revoked
    signatures.extend(old.iter().filter_map(|keys| sign(keys).ok()));
    let value = |text: String| HeaderValue::try_from(text).map_err(|_| Unusable);
    Ok(HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (HeaderName::from_static(ID), value(id.as_str().to_owned())?),
        (HeaderName::from_static(TIMESTAMP), value(signed.timestamp.to_string())?),
        (HeaderName::from_static(SIGNATURE), value(signatures.join(" "))?),
    ]))
}

/// How long to wait behind attempt number `tried`: 10 s, 40 s, 160 s … up to twelve hours, a fifth more or less; longer where the other side asks
/// for it (RFC 9110 §10.2.3), up to the same twelve hours.
#[must_use]
pub fn pause(tried: i32, asked: Option<Duration>) -> Duration {
    let [draw] = crypto::random::<1>();
    let percent = 100 - JITTER + i32::from(draw) * 2 * JITTER / 255;
    let grown = FIRST_PAUSE * 4_i32.pow(u32::try_from(tried - 1).unwrap_or_default().min(7));
    (grown.min(LONGEST_PAUSE) * percent / 100_i32).max(asked.unwrap_or_default().min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_half_a_day_and_thirteen_attempts_take_three() {
        let within = |tried, seconds: i64| {
            let pause = pause(tried, None).whole_seconds();
            assert!((seconds * 8 / 10..=seconds * 12 / 10).contains(&pause), "{tried}: {pause}");
        };
        within(1, 10);
        within(2, 40);
        within(6, 10_240);
        within(8, 43_200);
        within(50, 43_200);
        let all: i64 = (1..13).map(|tried| pause(tried, None).whole_seconds()).sum();
        assert!((60 * 3600..=93 * 3600).contains(&all), "{all}");
        assert_eq!(pause(1, Some(Duration::hours(2))), Duration::hours(2));
        assert_eq!(pause(1, Some(Duration::days(9))), LONGEST_PAUSE);
        assert!(pause(8, Some(Duration::SECOND)) > Duration::hours(9));
        assert!((1..100).map(|_| pause(8, None)).collect::<std::collections::BTreeSet<_>>().len() > 10, "it is spread");
    }
}
