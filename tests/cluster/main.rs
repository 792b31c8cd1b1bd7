//! Two nodes on one database, around a Redis of their own that comes and goes, and behind nginx with the configuration of
//! `docker-compose.cluster.yml`; what becomes of requests, and of webhooks, when one of the parts is killed.
//!
//! `cargo test --features cluster --test cluster`; needs redis-server or valkey-server, and nginx, in the path.

mod edge;
mod faults;
mod guarded_redis;
mod inbound_webhooks;
mod load;
mod nginx;
mod quotas;
mod redis_server;
mod revocation;
#[expect(dead_code, reason = "the interop tests', of which this needs a part")]
#[path = "../interop/service.rs"]
mod service;
mod stack;
#[expect(dead_code, reason = "the suite's, of which this needs a part")]
#[path = "../suite/support/mod.rs"]
mod support;
mod webhooks;

/// Held by each test: what they measure is what two nodes do, not what many do to this machine.
async fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    ALONE.lock().await
}
