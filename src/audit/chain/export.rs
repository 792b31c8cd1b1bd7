//! The chain as lines of JSON, in order: what others need to compute every hash again and to verify every head. What is sealed stays so
//! unless that is asked for: it is not needed to verify anything.

use crate::{
    audit::{
        self,
        chain::{
            BATCH, Head, form, head_of,
            store::{self, Link, Signed, Written},
        },
        subject_key,
    },
    platform::{crypto, db::StoreError, keyring::Keyring},
};
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::collections::VecDeque;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

/// Which part of the chain is left to write.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Behind this place.
    pub beyond: i64,
    /// Up to this one.
    pub through: i64,
    /// With the personal parts that can still be opened.
    pub opened: bool,
}

/// Where what is kept begins: the newest checkpoint as a line, if there is one.
///
/// # Errors
/// When the database is away.
pub async fn beginning(connection: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    let newest = store::checkpoints(connection).await?.pop();
    Ok(newest.map(|checkpoint| signed(&checkpoint, "checkpoint").to_string()))
}

/// The next lines of a part, which becomes what is left. None: that was all.
///
/// # Errors
/// [`StoreError`].
pub async fn lines(connection: &mut PgConnection, keyring: &Keyring, part: &mut Part) -> Result<Vec<String>, StoreError> {
    let links = store::links(connection, part.beyond, part.through, BATCH).await?;
    let Some((last, _)) = links.last() else { return Ok(vec![]) };
    let mut heads: VecDeque<Signed> = store::heads(connection, part.beyond, last.seq, BATCH).await?.into();
    part.beyond = last.seq;
    let owners: Vec<Uuid> = links.iter().filter_map(|(_, event)| event.as_ref()).filter_map(|event| event.actor.or(event.subject)).collect();
    let keys = subject_key::of(connection, keyring, if part.opened { &owners } else { &[] }).await?;
    let mut lines = Vec::with_capacity(links.len() + heads.len());
    for (link, written) in links {
        let mut line = event(&link, written.as_ref());
        if let Some(event) = written.filter(|_| part.opened) {
            let personal = audit::opened(keyring, &keys, event.id, event.actor.or(event.subject), event.key_version, &event.sealed);
            line["personal"] = serde_json::to_value(personal)?;
        }
        lines.push(line.to_string());
        while heads.front().is_some_and(|head| head.seq <= link.seq) {
            lines.extend(heads.pop_front().map(|head| signed(&head, "head").to_string()));
        }
    }
    Ok(lines)
}

fn event(link: &Link, written: Option<&Written>) -> Value {
    // removed by somebody: `verify` tells
    let Some(event) = written else { return json!({ "kind": "missing", "seq": link.seq, "id": link.event_id, "hash": crypto::hex(&link.hash) }) };
    json!({
        "kind": "event",
        "seq": link.seq,
        "id": event.id,
        "at": shown(event.at),
        "at_micros": event.at,
        "event": event.event,
        "outcome": event.outcome,
        "actor": event.actor,
        "subject": event.subject,
        "request": event.request,
        // the text that is hashed, not the value: others write the same value differently
        "detail": event.detail,
        "sealed": crypto::hex(&event.sealed),
        "key_version": event.key_version,
        "hash": crypto::hex(&link.hash),
    })
}

fn signed(signed: &Signed, kind: &str) -> Value {
    let at = form::micros(signed.at);
    json!({
        "kind": kind,
        "seq": signed.seq,
        "after": signed.after,
        "at": shown(at),
        "at_micros": at,
        "hash": crypto::hex(&signed.hash),
        "head": head_of(signed).as_ref().map(Head::to_string),
        "key_version": signed.key_version,
        "signature": crypto::hex(&signed.signature),
    })
}

/// `None`: no time of any calendar.
fn shown(micros: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).ok()?.format(&Rfc3339).ok()
}
