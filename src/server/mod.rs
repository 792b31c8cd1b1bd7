//! Wiring: three listeners around one [`State`]. The service speaks HTTPS; a second listener redirects to it; a third, for
//! operators, has health and metrics.

mod redirect;
pub mod tls;

use crate::{
    api,
    edge::{self, rate_limit::address::AddressQuota},
    jobs::Jobs,
    platform::mail::Mailer,
    state::State,
};
use actix_web::{
    App, Error, HttpResponse, HttpServer,
    body::BoxBody,
    dev::{Server, ServerHandle, ServiceFactory, ServiceRequest, ServiceResponse},
    rt,
    web::{self, Data},
};
use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::{PgPool, postgres::PgConnectOptions};
use std::{net::SocketAddr, thread, time::Duration};
use tls::Identity;

/// How long running requests may take to finish after the order to stop, in seconds.
const DRAIN_SECONDS: u64 = 15;
/// A connection without a request is closed after this long.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// What the service is made of.
pub struct Parts {
    /// What requests use.
    pub state: State,
    /// Sends letters.
    pub mailer: Mailer,
    /// Certificate and key; `None`: a proxy ends TLS.
    pub identity: Option<Identity>,
    /// Reads the metrics that the process records.
    pub recorder: PrometheusHandle,
    /// Where the revocation feed is heard: the database, without a pooler in between.
    pub feed: PgConnectOptions,
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
    jobs: Jobs,
    pool: PgPool,
}

impl Service {
    /// Binds every listener, then serves. Must be called within an actix system.
    ///
    /// # Errors
    /// When an address is taken or the certificate is unusable; nothing is left running then.
    pub fn start(parts: Parts) -> anyhow::Result<Self> {
        let Parts { state, mailer, identity, recorder, feed } = parts;
        let settings = state.settings.clone();
        let address_quota = AddressQuota::new(&settings.quotas).context("the address quota is empty")?;
        let data = Data::new(state.clone());

        let (quota, shared) = (address_quota.clone(), data.clone());
        let workers = settings.workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, Into::into));
        let main = HttpServer::new(move || edge::app(shared.clone(), &quota, api::configure))
            .workers(workers)
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(settings.request_timeout)
            .shutdown_timeout(DRAIN_SECONDS)
            .disable_signals();
        let bound = match identity {
            Some(identity) => main.bind_rustls_0_23(settings.https_listen, identity.into_config()?),
            None => main.bind(settings.https_listen),
        };
        let main = bound.with_context(|| format!("cannot listen on {} (PORTCULLIS_HTTPS_LISTEN)", settings.https_listen))?;
        let https = main.addrs().first().copied().context("no address was bound")?;
        let mut servers = vec![main.run()];

        let public_url = Data::new(settings.public_url.clone());
        let redirecting = move || App::new().app_data(public_url.clone()).default_service(web::to(redirect::redirect));
        let http = settings.http_listen.map(|address| clear_text(redirecting, address, "PORTCULLIS_HTTP_LISTEN")).transpose()?;

        let metrics = recorder.clone();
        let for_operators = move || {
            let metrics = metrics.clone();
            let answer = move || std::future::ready(HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(metrics.render()));
            edge::operators_app(data.clone(), |config| {
                api::configure_health(config);
                config.route("/metrics", web::get().to(answer));
            })
        };
        let operators = settings.operator_listen.map(|address| clear_text(for_operators, address, "PORTCULLIS_OPERATOR_LISTEN")).transpose()?;

        let mut started = |listener: Option<(Server, SocketAddr)>| {
            listener.map(|(server, address)| {
                servers.push(server);
                address
            })
        };
        let (http, operators) = (started(http), started(operators));
        let handles = servers.iter().map(Server::handle).collect();
        let servers = servers.into_iter().map(rt::spawn).collect();
        let jobs = Jobs::start(&state, mailer, feed, address_quota, recorder);
        Ok(Self { https, http, operators, handles, servers, jobs, pool: state.pool })
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
        self.jobs.stop().await;
        self.pool.close().await;
    }
}

/// A listener without TLS and with one thread: nothing of the product goes over it.
fn clear_text<T>(factory: impl Fn() -> App<T> + Send + Clone + 'static, address: SocketAddr, setting: &str) -> anyhow::Result<(Server, SocketAddr)>
where
    T: ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()> + 'static,
{
    let server = HttpServer::new(factory)
        .workers(1)
        .shutdown_timeout(DRAIN_SECONDS)
        .disable_signals()
        .bind(address)
        .with_context(|| format!("cannot listen on {address} ({setting})"))?;
    let bound = server.addrs().first().copied().context("no address was bound")?;
    Ok((server.run(), bound))
}
