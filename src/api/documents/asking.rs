//! Who asks for a document, and how, as policies see them; and the record of what they did. Practices 1.abac, 10.step-up.
//! Attacks: `tests/suite/attacks/s10_access_control/others_documents.rs`.

use crate::{
    access::{
        Principal, Transport,
        permission::{Demand, Held},
        policy::{Circumstances, Subject},
        role,
    },
    audit::{Entry, Event},
    documents::{Document, Judge},
    edge::guard::May,
    error::{ApiError, ErrorCode},
    state::State,
};
use sqlx::PgConnection;

/// Who asks, as policies see them.
pub(super) async fn asking<P: Demand>(connection: &mut PgConnection, state: &State, may: &May<P>) -> Result<(Subject, Judge), ApiError> {
    asking_with(connection, state, may, &may.held).await
}

/// The same once a document is locked, which may have been waited for: whoever has lost what let them in meanwhile comes too late.
pub(super) async fn asking_again<P: Demand>(connection: &mut PgConnection, state: &State, may: &May<P>) -> Result<Judge, ApiError> {
    let held = may.again(connection, state.clock.now()).await?;
    Ok(asking_with(connection, state, may, &held).await?.1)
}

async fn asking_with<P: Demand>(connection: &mut PgConnection, state: &State, may: &May<P>, held: &Held) -> Result<(Subject, Judge), ApiError> {
    let (Principal { account, assurance, transport, .. }, now) = (may.principal, state.clock.now());
    // the account went away between the guard's look-up and this one
    let gone = || ApiError::new(ErrorCode::Unauthenticated);
    let subject = role::subject(connection, account, assurance, held, now).await?.ok_or_else(gone)?;
    let at = |assurance| Circumstances { assurance, at: now, address: may.caller.client.place(&state.settings.trusted_proxies) };
    let asker = state.policies.asker(&subject, at(assurance));
    let could_show = assurance < 2 && matches!(transport, Transport::Cookie | Transport::Token);
    let with_second_factor = if could_show {
        let held = role::permissions_of(connection, account, 2, now).await?;
        role::subject(connection, account, 2, &held, now).await?.map(|subject| state.policies.asker(&subject, at(2)))
    } else {
        None
    };
    Ok((subject, Judge { asker, with_second_factor }))
}

/// The record of what was done to a document.
pub(super) fn entry<'m, P>(event: Event, may: &'m May<P>, document: &Document) -> Entry<'m> {
    Entry::new(event, &may.caller.origin, Some(may.principal.account), Some(document.owner))
}
