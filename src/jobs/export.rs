//! Making exports of personal data: everything that is held about somebody, as JSON, sealed under their own key.

use crate::{
    access::{
        policy::{Action, Circumstances},
        role,
        store::assignments_of,
    },
    accounts::{self, AccountId, Email, export::store},
    audit::{self, Filter, subject_key},
    credentials::{api_key, federation, passkey, second_factor},
    documents::{self, Judge},
    letters::{self, Letter},
    platform::{db::StoreError, outbox},
    sessions,
    state::State,
};
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::net::Ipv4Addr;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Most documents in one export, the newest; `/v1/documents` has the rest.
const MAX_DOCUMENTS: i64 = 1000;
/// Most events in one export, the newest; `/v1/me/events` has the rest.
const MAX_EVENTS: i64 = 10_000;

pub(super) async fn make_all(state: &State) -> Result<(), StoreError> {
    let (mut last, mut failed) = (Uuid::nil(), None);
    loop {
        let mut transaction = state.pool.begin().await?;
        let Some((id, owner)) = store::next_pending(&mut transaction, last).await? else { break };
        last = id;
        match make(&mut transaction, state, id, owner).await {
            Ok(()) => transaction.commit().await?,
            // one that fails does not hold the others up
            Err(error) => {
                tracing::error!(export = %id, %error, "not made");
                failed = Some(error);
            }
        }
        state.letter_waits.notify_one();
    }
    failed.map_or(Ok(()), Err)
}

async fn make(connection: &mut PgConnection, state: &State, id: Uuid, owner: AccountId) -> Result<(), StoreError> {
    let now = state.clock.now();
    let account = accounts::store::find_own(connection, owner).await?;
    let email = account.as_ref().and_then(|account| Email::parse(&account.email).ok());
    let contents = match account {
        Some(account) => contents(connection, state, &account, now).await?,
        // disabled or closed meanwhile: nobody can fetch it, and it must not come up again
        None => json!({}),
    };
    let plain = Zeroizing::new(serde_json::to_vec_pretty(&contents)?);
    let (_, sealed) = subject_key::seal(connection, &state.keyring, now, Some(owner.0), id.as_bytes(), &plain).await?;
    store::fill(connection, id, &sealed).await?;
    if let Some(email) = email {
        let letter = Letter::ExportReady(id, state.settings.terms.export.whole_days());
        outbox::enqueue(connection, &state.keyring, now, &letters::write(&email, &state.settings.public_url, letter), None).await?;
    }
    Ok(())
}

async fn contents(connection: &mut PgConnection, state: &State, account: &accounts::Account, now: OffsetDateTime) -> Result<Value, StoreError> {
    let owner = account.id.0;
    let roles = assignments_of(connection, owner, now).await?;
    let sessions = sessions::store::list_own(connection, owner, now).await?;
    let passkeys = passkey::store::list(connection, owner).await?;
    let identities = federation::store::list_own(connection, owner).await?;
    // nobody shows a second factor to a job, or a network
    let (held, nobody) = (role::permissions_of(connection, owner, 1, now).await?, Ipv4Addr::UNSPECIFIED.into());
    let subject = role::subject(connection, owner, 1, &held, now).await?.unwrap_or_default();
    let asker = state.policies.asker(&subject, Circumstances { assurance: 1, at: now, address: nobody });
    let judge = Judge { asker, with_second_factor: None };
    let documents = judge.select(Action::Read, documents::store::list_own(connection, owner, MAX_DOCUMENTS).await?);
    let keys = api_key::store::list_own(connection, owner, None, now).await?;
    let filter = Filter { subject: Some(owner), ..Filter::default() };
    let mut events = audit::list(connection, &state.keyring, &filter, MAX_EVENTS).await?;
    // what one did to others: from where is one's own
    let filter = Filter { actor: Some(owner), not_subject: Some(owner), ..Filter::default() };
    events.extend(audit::list(connection, &state.keyring, &filter, MAX_EVENTS).await?);
    Ok(json!({
        "account": {
            "id": owner,
            "email": account.email,
            "name": account.name,
            "about": account.about,
            "department": account.department,
            "created_at": show(account.created_at),
            "updated_at": show(account.updated_at),
        },
        "second_factor": {
            "totp_since": second_factor::store::totp_since(connection, owner).await?.map(show),
            "recovery_codes_left": second_factor::store::factors(connection, owner).await?.recovery_codes,
        },
        "roles": roles.iter().map(|role| json!({ "role": role.role, "expires_at": role.expires_at.map(show) })).collect::<Vec<_>>(),
        "sessions": sessions.iter().map(|session| json!({
            "id": session.id,
            "device": session.device,
            "address": session.address,
            "transport": session.transport,
            "signed_in_at": show(session.started_at),
            "last_seen_at": show(session.last_seen_at),
        })).collect::<Vec<_>>(),
        "passkeys": passkeys.iter().map(|passkey| json!({
            "id": passkey.id,
            "name": passkey.name,
            "is_backed_up": passkey.is_backed_up,
            "created_at": show(passkey.created_at),
            "last_used_at": passkey.last_used_at.map(show),
        })).collect::<Vec<_>>(),
        "identities": identities.iter().map(|identity| json!({
            "issuer": identity.issuer,
            "subject": identity.subject,
            "linked_at": show(identity.linked_at),
            "last_used_at": identity.last_used_at.map(show),
        })).collect::<Vec<_>>(),
        "documents": documents.iter().map(|document| json!({
            "id": document.id,
            "title": document.title,
            "body": document.body,
            "department": document.department,
            "classification": document.classification,
            "created_at": show(document.created_at),
            "updated_at": show(document.updated_at),
            "deleted_at": document.deleted_at.map(show),
        })).collect::<Vec<_>>(),
        "api_keys": keys.iter().map(|key| json!({
            "id": key.id,
            "name": key.name,
            "scopes": key.scopes,
            "networks": key.networks,
            "created_at": show(key.created_at),
            "expires_at": show(key.expires_at),
            "last_used_at": key.last_used_at.map(show),
        })).collect::<Vec<_>>(),
        "events": events.iter().map(|event| {
            // from where somebody else acted is theirs
            let personal = event.personal.as_ref().filter(|_| event.actor.is_none_or(|actor| actor == owner));
            json!({
                "id": event.id,
                "at": show(event.at),
                "event": event.event,
                "outcome": event.outcome,
                "detail": event.detail,
                "personal": personal,
            })
        }).collect::<Vec<_>>(),
    }))
}

fn show(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_default()
}
