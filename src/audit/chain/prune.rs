//! Removing what is old from the log, as its owner: the service's own role cannot. What is left stays provable from a signed checkpoint,
//! and a log that somebody changed is not pruned, because its traces would go with it.

use crate::{
    audit::{
        self, Entry, Event, Origin,
        chain::{
            form, head_of, is_ours, store,
            verify::{self, Damage},
        },
    },
    platform::{
        db::StoreError,
        keyring::{Keyring, Purpose},
    },
};
use serde_json::json;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};

/// Events are kept at least so long: three months must be at hand (PCI DSS 4.0.1, 10.5.1; of the twelve that it asks for, the rest may be
/// in an export).
pub const KEPT_AT_LEAST: Duration = Duration::days(90);

/// What was removed.
#[derive(Debug, Clone, Copy)]
pub struct Pruned {
    /// The last place that went.
    pub through: i64,
    /// How many events.
    pub events: u64,
}

/// Why nothing was removed.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// Somebody changed the log.
    #[error("the audit log is damaged: what is wrong with it must not go with what is old")]
    Damaged,
    /// Too young to go.
    #[error("events are kept for {} days at least", KEPT_AT_LEAST.whole_days())]
    TooYoung,
    /// The database or the keyring.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for PruneError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Removes events that were chained before this time, up to a head, and the chain up to there. `None`: there are none. What is chained is
/// older than its head, so nothing younger goes; what waits for the chainer stays.
///
/// # Errors
/// [`PruneError`]; then nothing was removed, and what is wrong was told.
pub async fn prune(
    connection: &mut PgConnection,
    keyring: &Keyring,
    before: OffsetDateTime,
    now: OffsetDateTime,
    tell: impl FnMut(Damage),
) -> Result<Option<Pruned>, PruneError> {
    if before > now - KEPT_AT_LEAST {
        return Err(PruneError::TooYoung);
    }
    let mut transaction = store::still(connection).await?;
    let findings = verify::verify(&mut transaction, keyring, None, tell).await?;
    if findings.damage > 0 {
        return Err(PruneError::Damaged);
    }
    let newest = store::last_signed_before(&mut transaction, before).await?.filter(|signed| signed.seq > findings.start);
    let Some((signed, head)) = newest.as_ref().and_then(|signed| Some((signed, head_of(signed)?))) else { return Ok(None) };
    // what is not ours does not become so by a checkpoint
    if !is_ours(keyring, signed, &head) || !store::has_link(&mut transaction, &head).await? {
        return Err(PruneError::Damaged);
    }
    let (key_version, signature) = keyring.attest(Purpose::AuditChain, &form::checkpoint(&head, now)).map_err(StoreError::from)?;
    store::insert_checkpoint(&mut transaction, &head, now, key_version, &signature).await?;
    let events = store::delete_through(&mut transaction, head.seq).await?;
    let origin = Origin::service();
    let entry = Entry::new(Event::AuditPruned, &origin, None, None).detail(json!({ "through": head.seq, "events": events }));
    audit::record(&mut transaction, keyring, now, entry).await?;
    transaction.commit().await?;
    Ok(Some(Pruned { through: head.seq, events }))
}
