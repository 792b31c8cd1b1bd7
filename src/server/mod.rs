//! Wiring: three listeners around one [`State`]. The service speaks HTTPS; a second listener redirects to it; a third, for
//! operators, has health and metrics.

mod admission;
#[cfg_attr(not(feature = "http2"), path = "no_http2.rs")]
mod http2;
mod listener;
pub mod metrics;
mod paced;
mod redirect;
mod singly;
pub mod tls;

use crate::{
    api,
    edge::{self, rate_limit::buckets::Buckets},
    jobs::Jobs,
    platform::mail::Mailer,
    state::State,
};
use actix_web::{
    HttpResponse,
    dev::{Server, ServerHandle},
    rt,
    web::{self, Data},
};
use admission::Admission;
use anyhow::Context;
use listener::Listener;
use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::{PgPool, postgres::PgConnectOptions};
use std::{net::SocketAddr, thread};
use tls::{Certificates, Ready};
use tokio::sync::watch;

/// How long running requests may take to finish after the order to stop, in seconds.
const DRAIN_SECONDS: u64 = 15;

/// What the service is made of.
pub struct Parts {
    /// What requests use.
    pub state: State,
    /// Sends letters.
    pub mailer: Mailer,
    /// Certificate and key; `None`: a proxy ends TLS.
    pub certificates: Option<Certificates>,
    /// Reads the metrics that the process records.
    pub recorder: PrometheusHandle,
    /// Where the revocation feed is heard: the database, without a pooler in between. Its password may change.
    pub feed: watch::Receiver<PgConnectOptions>,
}

/// A running service.
pub struct Service {
    /// Where it speaks HTTPS, or clear text with the proxy that does.
    pub https: SocketAddr,
    /// Where it redirects.
    pub http: Option<SocketAddr>,
    /// Where operators look.
    pub operators: Option<SocketAddr>,
    handles: Vec<ServerHandle>,
    servers: Vec<tokio::task::JoinHandle<std::io::Result<()>>>,
    /// Keeps the certificate fresh.
    upkeep: Option<tokio::task::JoinHandle<()>>,
    jobs: Jobs,
    pool: PgPool,
}

impl Service {
    /// Binds every listener, then serves. Must be called within an actix system.
    ///
    /// # Errors
    /// When an address is taken or the certificate is unusable; nothing is left running then.
    pub fn start(parts: Parts) -> anyhow::Result<Self> {
        let Parts { state, mailer, certificates, recorder, feed } = parts;
        let settings = state.settings.clone();
        let buckets = Buckets::new(&settings.quotas).context("a quota of ordinary traffic is empty")?;
        metrics::describe_all();
        ::metrics::gauge!("portcullis_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        ::metrics::gauge!("process_start_time_seconds").set(started_at(&state));
        let data = Data::new(state.clone());

        let limits = settings.connections;
        let listener = |address, setting, workers| Listener {
            address,
            setting,
            tls: None,
            workers,
            admission: Admission::new(&limits, settings.trusted_proxies.clone()),
            limits,
            request_timeout: settings.request_timeout,
        };

        let workers = settings.workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, Into::into));
        let has_http = settings.redirecting.is_some();
        let ready = certificates.map(|certificates| certificates.prepare(settings.tls_profile, has_http, &state.clock)).transpose()?;
        let (tls, upkeep, challenges) = match ready {
            Some(Ready { config, upkeep, challenges }) => (Some(config), Some(upkeep), challenges),
            None => (None, None, None),
        };
        let (quota, shared) = (buckets.clone(), data.clone());
        let main = Listener { tls, ..listener(settings.https_listen, "PORTCULLIS_HTTPS_LISTEN", workers) };
        let (main, https) = main.serve(move || edge::app(shared.clone(), &quota, api::configure))?;
        let mut servers = vec![main];

        // nothing of the product goes over the others: one thread is enough
        let shared = data.clone();
        let redirecting = move || {
            let challenges = challenges.clone();
            edge::redirecting_app(shared.clone(), move |config| redirect::configure(config, challenges))
        };
        let http = settings.redirecting.map(|http| listener(http.listen, "PORTCULLIS_HTTP_LISTEN", 1).serve(redirecting)).transpose()?;

        let metrics = recorder.clone();
        let for_operators = move || {
            let metrics = metrics.clone();
            let answer = move || std::future::ready(HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(metrics.render()));
            edge::operators_app(data.clone(), |config| {
                api::configure_health(config);
                config.route("/metrics", web::get().to(answer));
            })
        };
        let operators = settings.operators.as_ref().map(|operators| operators.listen);
        let operators = operators.map(|address| listener(address, "PORTCULLIS_OPERATOR_LISTEN", 1).serve(for_operators)).transpose()?;

        let mut started = |listener: Option<(Server, SocketAddr)>| {
            listener.map(|(server, address)| {
                servers.push(server);
                address
            })
        };
        let (http, operators) = (started(http), started(operators));
        let handles = servers.iter().map(Server::handle).collect();
        let servers = servers.into_iter().map(rt::spawn).collect();
        let upkeep = upkeep.map(rt::spawn);
        let jobs = Jobs::start(&state, mailer, feed, buckets, recorder);
        Ok(Self { https, http, operators, handles, servers, upkeep, jobs, pool: state.pool })
    }

    /// Takes no new connection, lets running requests and jobs finish, and ends.
    pub async fn stop(self) {
        futures_util::future::join_all(self.handles.iter().map(|handle| handle.stop(true))).await;
        for server in self.servers {
            match server.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "a listener ended badly"),
                Err(error) => tracing::error!(%error, "a listener ended badly"),
            }
        }
        if let Some(upkeep) = self.upkeep {
            upkeep.abort();
        }
        self.jobs.stop().await;
        self.pool.close().await;
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact for some million years")]
fn started_at(state: &State) -> f64 {
    state.clock.now().unix_timestamp() as f64
}
