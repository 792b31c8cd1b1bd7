//! Looks at what was refused, on all nodes together, and raises an alert for each suspicious pattern: an audit event, a metric, and a
//! letter to the operators where they want one. One alert for each pattern and subject in a window, whichever node sees it first.
//! Practice 4.alert-suspicious. Attacks: `tests/suite/attacks/s04_rate_limits/suspicious_patterns.rs`.

use crate::{
    accounts::Email,
    audit::{
        self, Entry, Origin,
        alerts::{
            Pattern,
            store::{self, Found},
        },
    },
    edge::rate_limit::{Count, Quota, try_spend},
    letters::{self, Letter},
    platform::{db::StoreError, outbox},
    state::State,
};
use serde_json::json;

pub(super) async fn look(state: &State) -> Result<(), StoreError> {
    let now = state.clock.now();
    for pattern in Pattern::ALL {
        let number = pattern.number(&state.settings.alerts.thresholds);
        let found = store::find(&mut *state.pool.acquire().await?, *pattern, number, now - pattern.window(), now).await?;
        for one in found {
            raise(state, *pattern, &one).await?;
        }
    }
    Ok(())
}

async fn raise(state: &State, pattern: Pattern, found: &Found) -> Result<(), StoreError> {
    let now = state.clock.now();
    let mut transaction = state.pool.begin().await?;
    if !store::raise(&mut transaction, pattern, &found.subject, now + pattern.window(), now).await? {
        return Ok(());
    }
    // the request leads to the address, in its own event and in the log
    let origin = Origin { request: found.request, ..Origin::service() };
    let detail = json!({ "count": found.count, "minutes": pattern.window().whole_minutes() });
    audit::record(&mut transaction, &state.keyring, now, Entry::new(pattern.event(), &origin, None, found.account).detail(detail)).await?;
    transaction.commit().await?;
    metrics::counter!("portcullis_alerts_total", "pattern" => pattern.name()).increment(1);
    tracing::warn!(pattern = pattern.name(), count = found.count, request = found.request.map(tracing::field::display), "alert");
    // made-up addresses must not use up the letters that are for attacked accounts
    if pattern == Pattern::AddressSpread && found.account.is_none() {
        return Ok(());
    }
    tell_operators(state, pattern, found.count).await
}

async fn tell_operators(state: &State, pattern: Pattern, count: i64) -> Result<(), StoreError> {
    let Some(mailbox) = &state.settings.alerts.operator_mail else { return Ok(()) };
    let Ok(email) = Email::parse(mailbox.email.as_ref()) else {
        tracing::warn!("PORTCULLIS_OPERATOR_MAIL is no address that letters can go to");
        return Ok(());
    };
    let may = match try_spend(state, &[Count::of(state, Quota::OperatorLetters, &[pattern.name()])]).await {
        Ok(spent) => spent.is_ok(),
        Err(error) => {
            tracing::warn!(%error, "no letter about an alert was sent");
            false
        }
    };
    if may {
        let mail = letters::write(&email, &state.settings.public_url, Letter::Alert(pattern, count));
        outbox::enqueue(&mut *state.pool.acquire().await?, &state.keyring, state.clock.now(), &mail, None).await?;
        state.letter_waits.notify_one();
    }
    Ok(())
}
