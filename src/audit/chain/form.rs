//! The canonical form: which bytes are hashed and signed. Every field has its length in front, so that none runs into the next; what is
//! sealed is hashed as it is, so that erasing somebody's key changes nothing here. `docs/audit.md` says the same for other programs.

use crate::{
    audit::chain::{Head, store::Written},
    platform::crypto,
};
use time::OffsetDateTime;

/// Apart from each other and from whatever else is ever signed with such a key.
const EVENT: &[u8] = b"portcullis audit event 1";
const HEAD: &[u8] = b"portcullis audit head 1";
const CHECKPOINT: &[u8] = b"portcullis audit checkpoint 1";

/// In the place of a length: there is no value.
const NONE: u64 = u64::MAX;

/// The hash of an event at its place, behind the one before.
pub(super) fn link(previous: &[u8], seq: i64, event: &Written) -> [u8; 32] {
    let version = event.key_version.map(i32::to_be_bytes);
    let mut form = Vec::with_capacity(512 + event.sealed.len() + event.detail.len());
    for field in [
        Some(EVENT),
        Some(previous),
        Some(&seq.to_be_bytes()),
        Some(event.id.as_bytes()),
        Some(&event.at.to_be_bytes()),
        Some(event.event.as_bytes()),
        Some(event.outcome.as_bytes()),
        event.actor.as_ref().map(|id| id.as_bytes().as_slice()),
        event.subject.as_ref().map(|id| id.as_bytes().as_slice()),
        event.request.as_ref().map(|id| id.as_bytes().as_slice()),
        Some(event.detail.as_bytes()),
        Some(&event.sealed),
        version.as_ref().map(<[u8; 4]>::as_slice),
    ] {
        put(&mut form, field);
    }
    crypto::sha256(&form)
}

/// What is signed of a head; `after`: the head before it.
pub(super) fn head(after: i64, head: &Head, at: OffsetDateTime) -> Vec<u8> {
    statement(HEAD, &[&after.to_be_bytes(), &head.seq.to_be_bytes(), &head.hash, &micros(at).to_be_bytes()])
}

/// What is signed of a checkpoint.
pub(super) fn checkpoint(head: &Head, at: OffsetDateTime) -> Vec<u8> {
    statement(CHECKPOINT, &[&head.seq.to_be_bytes(), &head.hash, &micros(at).to_be_bytes()])
}

fn statement(kind: &[u8], fields: &[&[u8]]) -> Vec<u8> {
    let mut form = Vec::with_capacity(128);
    put(&mut form, Some(kind));
    fields.iter().for_each(|field| put(&mut form, Some(field)));
    form
}

fn put(form: &mut Vec<u8>, field: Option<&[u8]>) {
    form.extend(field.map_or(NONE, |field| field.len() as u64).to_be_bytes());
    form.extend(field.unwrap_or_default());
}

/// Microseconds since 1970: what Postgres keeps of a time.
pub(super) fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn no_value_runs_into_the_next_and_none_is_not_empty() {
        let one = Written {
            id: Uuid::nil(),
            at: 0,
            event: "ab".into(),
            outcome: "c".into(),
            actor: None,
            subject: Some(Uuid::nil()),
            request: None,
            detail: "{}".into(),
            sealed: vec![],
            key_version: None,
        };
        let hash = |change: &dyn Fn(&mut Written)| {
            let mut other = one.clone();
            change(&mut other);
            link(&[0; 32], 1, &other)
        };
        let own = hash(&|_| {});
        let others = [
            hash(&|event| (event.event, event.outcome) = ("a".into(), "bc".into())),
            hash(&|event| (event.actor, event.subject) = (event.subject, event.actor)),
            hash(&|event| event.key_version = Some(0)),
            hash(&|event| (event.detail, event.sealed) = (String::new(), b"{}".to_vec())),
            link(&[0; 32], 2, &one),
            link(&[1; 32], 1, &one),
        ];
        assert!(others.iter().all(|other| *other != own));
    }
}
