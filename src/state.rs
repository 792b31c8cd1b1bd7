//! What every request may use, made once at the start and shared by all server threads.

use crate::{
    access::policy::Policies,
    audit::alerts::signals::Signals,
    credentials::{api_key::UsedKeys, federation::Federation, password::Passwords},
    platform::{
        clock::Clock,
        fence::{Fence, Lookup},
        fenced::Fenced,
        keyring::Keyring,
        places::Places,
        redis::Redis,
        window::Windows,
    },
    sessions::{revocation::Revocations, seen::Seen},
    settings::{Environment, Federated, Settings, WebhookEndpoints},
};
use anyhow::Context;
use sqlx::PgPool;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::Notify;

/// Places of requests, by the settings.
#[must_use]
pub fn in_hand(settings: &Settings) -> Places {
    Places::new(settings.connections.requests, settings.quotas.in_hand as usize, || metrics::gauge!("portcullis_requests_in_hand"))
}

/// Whom the settings name.
///
/// # Errors
/// When no client can be made.
pub fn federation(settings: &Settings) -> anyhow::Result<Federation> {
    let Federated { providers, issuers, .. } = &settings.federated;
    let callback = settings.federated.callback(&settings.public_url).context("the public URL has no pages")?;
    Federation::new(providers, issuers, &callback, settings.environment == Environment::Development)
}

/// The policies in the folder that the settings name, or those that this binary brings along.
///
/// # Errors
/// When they cannot be read, or are not what they should be: nobody decides by half of them.
pub fn policies(folder: Option<&Path>) -> anyhow::Result<Policies> {
    let policies = folder.map_or_else(Policies::built_in, Policies::read);
    policies.context("cannot use the policies (PORTCULLIS_POLICIES)")
}

/// Who posts to endpoints that others name, where the settings let it.
///
/// # Errors
/// When the authorities that the settings name cannot be used.
pub fn fenced(settings: &Settings, lookup: Arc<dyn Lookup>) -> anyhow::Result<Fenced> {
    let WebhookEndpoints { networks, authorities, patience, .. } = &settings.webhook_endpoints;
    let read = |path: &PathBuf| std::fs::read(path).with_context(|| format!("cannot read {} (PORTCULLIS_WEBHOOK_CA_FILE)", path.display()));
    let authorities = authorities.as_ref().map(read).transpose()?;
    Fenced::new(Fence::new(networks.clone(), lookup), authorities.as_deref(), *patience)
}

/// Handles only: cheap to clone.
#[derive(Clone)]
pub struct State {
    /// Validated settings.
    pub settings: Arc<Settings>,
    /// The database, as the run-time role.
    pub pool: PgPool,
    /// The one source of time.
    pub clock: Clock,
    /// The service's keys.
    pub keyring: Keyring,
    /// Hashing on its own threads.
    pub passwords: Passwords,
    /// Who may do what to which object.
    pub policies: Policies,
    /// Which other services are believed.
    pub federation: Federation,
    /// Which tokens are worth nothing any more.
    pub revocations: Revocations,
    /// Places of requests that are worked on.
    pub in_hand: Places,
    /// Where shared counters are, when not in Postgres.
    pub redis: Option<Redis>,
    /// Counters of this node alone, for when Redis is away.
    pub windows: Windows,
    /// Marks of use of sessions, until a job writes them.
    pub seen: Seen,
    /// Marks of use of API keys, until a job writes them.
    pub keys_used: UsedKeys,
    /// Marks of what was refused, until a job looks at them.
    pub signals: Signals,
    /// Tells the job that delivers letters that there is one.
    pub letter_waits: Arc<Notify>,
    /// Posts to endpoints that others named.
    pub fenced: Fenced,
    /// Tells the job that tells endpoints that there is something to tell.
    pub webhook_waits: Arc<Notify>,
    /// Tells the job that makes exports that there is one.
    pub export_waits: Arc<Notify>,
    /// Tells the job that deals with webhooks that there is one.
    pub inbox_waits: Arc<Notify>,
}
