//! Two nodes on one database, around a Redis of their own that comes and goes; and a receiver of webhooks that is killed.
//!
//! `cargo test --features cluster --test cluster`; needs redis-server or valkey-server in the path.

mod inbound_webhooks;
mod quotas;
mod redis_server;
mod revocation;
#[expect(dead_code, reason = "the suite's, of which this needs a part")]
#[path = "../suite/support/mod.rs"]
mod support;

/// Held by each test: what they measure is what two nodes do, not what many do to this machine.
async fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    ALONE.lock().await
}
