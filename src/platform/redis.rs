//! A Redis or Valkey that may be away: no call waits long for it, and nothing waits for it at the start. When a call or a probe fails,
//! all calls fail at once until a probe finds it again. Probes come every second, off the way of any request, so that the log and the
//! metric tell the truth on a node without calls too, from the start on.
//! Practice 4.distributed. Tests: `tests/cluster/`.

use redis::{
    Client, ConnectionAddr, IntoConnectionInfo,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use secrecy::{ExposeSecret, SecretString};
use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};
use tokio::sync::Semaphore;

/// The longest that a call under way waits, for a connection and an answer together.
const PATIENCE: Duration = Duration::from_millis(500);
/// Calls under way at once: what waits longer in a crowd is waiting for us, and must not be taken for an outage.
const AT_ONCE: usize = 64;
/// The longest that an attempt to connect may take, TLS included.
const CONNECT: Duration = Duration::from_millis(300);

/// It does not answer, or not as it should. Why is in the log.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("Redis is away")]
pub struct Away;

/// Where it is.
#[derive(Clone)]
pub struct Address(Client);

impl Address {
    /// Reads `redis://` and `rediss://` addresses.
    ///
    /// # Errors
    /// What is wrong, without the address, which may have a password in it.
    pub fn parse(url: &SecretString) -> Result<Self, &'static str> {
        let url = url.expose_secret();
        if !["redis://", "rediss://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err("must be redis://… or rediss://…");
        }
        // the crate's word for "believe any certificate"
        if url.contains('#') {
            return Err("must have no fragment");
        }
        let connection = url.into_connection_info().map_err(|_| "is no Redis address like rediss://user:password@host:6379/0")?;
        Client::open(connection).map(Self).map_err(|_| "is no Redis address like rediss://user:password@host:6379/0")
    }

    /// Whether what is said to it crosses a network that others may read.
    #[must_use]
    pub fn is_clear_text(&self) -> bool {
        match self.0.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, _) => host != "localhost" && !host.trim_matches(['[', ']']).parse().is_ok_and(|ip: IpAddr| ip.is_loopback()),
            _ => false,
        }
    }
}

/// A script that runs as one step.
pub struct Script(redis::Script);

impl Script {
    /// From its source.
    #[must_use]
    pub fn new(source: &str) -> Self {
        Self(redis::Script::new(source))
    }
}

/// Nobody has looked yet. Calls try it.
const UNKNOWN: u8 = 0;
/// It answered when last asked.
const UP: u8 = 1;
/// It did not.
const AWAY: u8 = 2;

/// The one connection, shared by all threads.
#[derive(Clone)]
pub struct Redis {
    client: Client,
    connection: Arc<Mutex<ConnectionManager>>,
    found: Arc<AtomicU8>,
    places: Arc<Semaphore>,
}

impl Redis {
    /// Connects on first use. Must be called within a runtime.
    ///
    /// # Errors
    /// When the address asks for what this build cannot do.
    pub fn new(address: Address) -> anyhow::Result<Self> {
        let Address(client) = address;
        let connection = Arc::new(Mutex::new(lazy(&client)?));
        // until the first probe, which comes at once
        metrics::gauge!("portcullis_redis_up").set(0.0);
        Ok(Self { client, connection, found: Arc::new(AtomicU8::new(UNKNOWN)), places: Arc::new(Semaphore::new(AT_ONCE)) })
    }

    /// Whether it was there when last asked.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.found.load(Ordering::Relaxed) == UP
    }

    /// Runs a script that answers with whole numbers.
    ///
    /// # Errors
    /// [`Away`], at once while it is known to be.
    pub async fn run(&self, script: &Script, keys: &[String], arguments: &[i64]) -> Result<Vec<i64>, Away> {
        // nobody closes it
        let _place = self.places.acquire().await.map_err(|_| Away)?;
        if self.found.load(Ordering::Relaxed) == AWAY {
            return Err(Away);
        }
        let mut connection = self.shared();
        let mut invocation = script.0.prepare_invoke();
        invocation.key(keys).arg(arguments);
        let answer = tokio::time::timeout(PATIENCE, invocation.invoke_async(&mut connection)).await;
        match answer {
            Ok(Ok(numbers)) => Ok(numbers),
            Ok(Err(error)) => Err(self.lost(&error.to_string())),
            Err(_) => Err(self.lost("no answer in time")),
        }
    }

    fn shared(&self) -> ConnectionManager {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lost(&self, error: &str) -> Away {
        // of many that fail at once, one says so
        if self.found.swap(AWAY, Ordering::Relaxed) != AWAY {
            tracing::warn!(error, "Redis is away: each node counts by itself, to its part of each quota");
            metrics::gauge!("portcullis_redis_up").set(0.0);
            metrics::counter!("portcullis_redis_outages_total").increment(1);
        }
        Away
    }

    /// Looks whether it is there: by writing, because one that answers and cannot write is of no use; and if it was not there before, on
    /// a new connection, because the old one may hang half-open.
    pub async fn probe(&self) {
        let fresh = (!self.is_up()).then(|| lazy(&self.client));
        let mut connection = match fresh {
            None => self.shared(),
            Some(Ok(fresh)) => fresh,
            Some(Err(_)) => return,
        };
        let mut write = redis::cmd("SET");
        write.arg("portcullis:probe").arg(1).arg("PX").arg(1000);
        match tokio::time::timeout(PATIENCE, write.query_async::<()>(&mut connection)).await {
            Ok(Ok(())) => self.found(connection),
            Ok(Err(error)) => _ = self.lost(&error.to_string()),
            Err(_) => _ = self.lost("no answer in time"),
        }
    }

    fn found(&self, connection: ConnectionManager) {
        if self.is_up() {
            return;
        }
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = connection;
        match self.found.swap(UP, Ordering::Relaxed) {
            UNKNOWN => tracing::info!("Redis is there: nodes count together"),
            _ => tracing::info!("Redis is back: nodes count together again"),
        }
        metrics::gauge!("portcullis_redis_up").set(1.0);
    }
}

fn lazy(client: &Client) -> redis::RedisResult<ConnectionManager> {
    // no retries within a call: it would only wait for them
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(PATIENCE))
        .set_number_of_retries(0)
        .set_max_delay(CONNECT);
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_none_turns_the_check_of_certificates_off() {
        let clear = |url: &str| Address::parse(&url.to_owned().into()).map(|address| address.is_clear_text());
        for (url, is_clear) in [
            ("redis://localhost/", false),
            ("redis://127.0.0.1:6379", false),
            ("redis://[::1]:6379/2", false),
            ("redis://:secret@cache.internal", true),
            ("redis://127.0.0.1.evil.example", true),
            ("rediss://user:secret@cache.internal:6380/0", false),
        ] {
            assert_eq!(clear(url), Ok(is_clear), "{url}");
        }
        for url in ["http://localhost", "unix:///run/redis.sock", "rediss://cache.internal/#insecure", "redis://", "redis://host:port", "redis://h/x"]
        {
            assert!(clear(url).is_err(), "{url}");
        }
    }
}
