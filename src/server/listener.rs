//! One listener: its connections are admitted, timed, agreed on by TLS, and served by HTTP/1.1 or HTTP/2, both in front of one
//! application a server thread.
//! Practices 4.dos, 7.tls, 7.http2. Attacks: `tests/suite/attacks/s04_rate_limits/`, `tests/suite/attacks/s07_tls/`.

use super::{DRAIN_SECONDS, admission::Admission, http2, paced::Paced, singly::Singly};
use crate::{
    edge::pace::{Limits, Pace},
    platform::places::Place,
    settings::Connections,
};
use actix_http::{HttpService, Request};
use actix_server::{GracefulShutdownSignal, Server};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, fn_factory, fn_service};
use actix_web::{
    App, Error,
    body::BoxBody,
    dev::{AppConfig, ServiceRequest, ServiceResponse},
};
use anyhow::Context;
use rustls::ServerConfig;
use std::{
    future::{Future, ready},
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::either::Either;

/// Connections that may wait for a thread to take them.
const BACKLOG: u32 = 1024;
/// What the system may hold each way, of requests that we have not read and of answers that a client has not taken, in bytes a connection.
const SOCKET_BUFFER: u32 = 256 << 10;
/// How long the rest of a refused body is taken and thrown away: closed before, the connection would be reset, and the refusal on its
/// way lost (RFC 9112 §9.6).
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// What a client may be served through.
pub(super) type Stream = Either<TlsStream<Paced>, Paced>;

/// A listener to be.
#[derive(Clone)]
pub(super) struct Listener {
    /// Where.
    pub address: SocketAddr,
    /// The setting that says so.
    pub setting: &'static str,
    /// `None`: clear text.
    pub tls: Option<Arc<ServerConfig>>,
    /// Server threads.
    pub workers: usize,
    /// Who may connect.
    pub admission: Admission,
    /// How long clients may take.
    pub limits: Connections,
    /// Longest time for one request, its head included.
    pub request_timeout: Duration,
}

impl Listener {
    /// Binds and serves. Returns the address that it was bound to.
    ///
    /// # Errors
    /// When the address is taken.
    pub(super) fn serve<T>(self, app: impl Fn() -> App<T> + Send + Clone + 'static) -> anyhow::Result<(Server, SocketAddr)>
    where
        T: ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()> + 'static,
    {
        let (address, setting) = (self.address, self.setting);
        let taken = || format!("cannot listen on {address} ({setting})");
        let socket = bind(address).with_context(taken)?;
        let bound = socket.local_addr().with_context(taken)?;
        let builder = Server::build().workers(self.workers).shutdown_timeout(DRAIN_SECONDS).disable_signals();
        let stopping = builder.graceful_shutdown_signal();
        let server = builder.listen(setting, socket, move || worker(self.clone(), stopping.clone(), app.clone()))?.run();
        Ok((server, bound))
    }

    async fn agree(&self, stream: Paced) -> Option<Stream> {
        let Some(config) = &self.tls else { return Some(Either::Right(stream)) };
        let agreed = timeout(self.limits.handshake, TlsAcceptor::from(Arc::clone(config)).accept(stream)).await;
        let outcome = if matches!(agreed, Ok(Ok(_))) { "ok" } else { "failed" };
        metrics::counter!("portcullis_tls_handshakes_total", "outcome" => outcome).increment(1);
        agreed.ok()?.ok().map(Either::Left)
    }
}

fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // bounds what slow readers cost, and lets their progress be seen; connections inherit it
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// What one server thread does with its connections.
fn worker<T>(
    listener: Listener,
    stopping: GracefulShutdownSignal,
    app: impl Fn() -> App<T> + 'static,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = (), InitError = ()>
where
    T: ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()> + 'static,
{
    fn_factory(move || {
        let app = app().into_factory().new_service(AppConfig::default());
        let (listener, stopping) = (listener.clone(), stopping.clone());
        async move {
            let app = Rc::new(app.await?);
            let worker = Rc::new(Worker { http1: http1(&listener, &stopping, Rc::clone(&app)).await?, app, listener, stopping });
            Ok(fn_service(move |stream: TcpStream| {
                let worker = Rc::clone(&worker);
                async move {
                    worker.connection(stream).await;
                    Ok(())
                }
            }))
        }
    })
}

struct Worker<A, H> {
    http1: H,
    app: Rc<A>,
    listener: Listener,
    stopping: GracefulShutdownSignal,
}

impl<A, H> Worker<A, H>
where
    A: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
    H: Service<(Singly<Stream>, Option<SocketAddr>)>,
{
    async fn connection(&self, stream: TcpStream) {
        let Some((peer, _place)) = self.admit(&stream) else { return };
        // small answers must not wait for more; a socket that cannot be told so is served all the same
        let _ = stream.set_nodelay(true);
        let limits = &self.listener.limits;
        // a second more than the application takes to answer 408
        let pace = Pace::new(Limits { idle: limits.idle, head: self.listener.request_timeout + Duration::from_secs(1) });
        let Some(stream) = self.listener.agree(Paced::new(stream, Rc::clone(&pace), limits.stall)).await else { return };
        match protocol(&stream) {
            Some(b"h2") => http2::serve(stream, &pace, peer, &self.app, &self.listener, &self.stopping).await,
            // how it ended is nobody's business but the client's
            _ => drop(self.http1.call((Singly::new(stream, pace), Some(peer))).await),
        }
    }

    fn admit(&self, stream: &TcpStream) -> Option<(SocketAddr, Place)> {
        let peer = stream.peer_addr().ok()?;
        Some((peer, self.listener.admission.admit(peer.ip())?))
    }
}

fn protocol(stream: &Stream) -> Option<&[u8]> {
    match stream {
        Either::Left(tls) => tls.get_ref().1.alpn_protocol(),
        Either::Right(_) => None,
    }
}

fn http1<A>(
    listener: &Listener,
    stopping: &GracefulShutdownSignal,
    app: Rc<A>,
) -> impl Future<Output = Result<impl Service<(Singly<Stream>, Option<SocketAddr>)> + use<A>, ()>> + use<A>
where
    A: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
{
    let stopping = stopping.clone();
    HttpService::build()
        .keep_alive(listener.limits.idle)
        .client_request_timeout(listener.request_timeout)
        .client_disconnect_timeout(LINGER)
        .graceful_shutdown_signal(move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        })
        .on_connect_ext(|stream: &Singly<Stream>, data| _ = data.insert(Rc::clone(stream.pace())))
        .h1(fn_factory(move || ready(Ok::<_, ()>(Rc::clone(&app)))))
        .new_service(())
}
