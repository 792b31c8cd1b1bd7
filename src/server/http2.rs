//! HTTP/2 by hyper, in front of the same application as HTTP/1.1: actix's own line of h2 has no fix for RUSTSEC-2026-0258.
//! A request becomes what the same request would be over HTTP/1.1, so that no rule can be got around by the protocol.
//!
//! A stream that its client resets is given up here; the request on it goes on (`src/edge/to_the_end.rs`).
//! Practices 7.http2, 4.dos. Attacks: `tests/suite/attacks/s07_tls/`, `tests/suite/attacks/s04_rate_limits/`.

use super::listener::{LINGER, Listener, Stream};
use crate::edge::pace::Pace;
use actix_http::{BoxedPayloadStream, Payload, Request};
use actix_server::GracefulShutdownSignal;
use actix_service::Service;
use actix_web::{
    Error, HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    dev::ServiceResponse,
    error::PayloadError,
    http::{Method, Version, header},
    rt,
    web::Bytes,
};
use futures_util::stream;
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http2::Builder, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::{
    runtime::Handle,
    time::{sleep_until, timeout},
};

/// What is spoken over TLS, the preferred one first.
pub(super) const PROTOCOLS: &[&str] = &["h2", "http/1.1"];
/// What may come of one body before it is read, in bytes.
const STREAM_WINDOW: u32 = 64 << 10;
/// What may come of all bodies of a connection before they are read, in bytes.
const CONNECTION_WINDOW: u32 = 256 << 10;
/// Streams that a client may have reset before they were looked at (CVE-2023-44487, rapid reset).
const PENDING_RESETS: usize = 20;
/// Streams that may end with an error of the client's making (CVE-2025-8671, made to reset).
const ERRONEOUS_STREAMS: usize = 100;
/// How long a client may take to say farewell.
const FAREWELL: Duration = Duration::from_secs(2);

/// Serves a connection to its end.
pub(super) async fn serve<A>(stream: Stream, pace: &Rc<Pace>, peer: SocketAddr, app: &Rc<A>, listener: &Listener, stopping: &GracefulShutdownSignal)
where
    A: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
{
    pace.multiplexes();
    let streams = Streams { pace: Rc::clone(pace), limit: 2 * listener.request_timeout + listener.limits.stall };
    let answer = service_fn(|request| {
        let app = Rc::clone(app);
        async move { answer(&*app, request, peer).await }
    });
    let mut connection = pin!(
        Builder::new(streams)
            .max_concurrent_streams(listener.limits.streams)
            // h2 refuses in a bare answer: what is somewhat too large comes as far as ours (`edge/header_limit.rs`)
            .max_header_list_size(u32::try_from(2 * listener.limits.head).unwrap_or(u32::MAX))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_pending_accept_reset_streams(PENDING_RESETS)
            .max_local_error_reset_streams(ERRONEOUS_STREAMS)
            .serve_connection(TokioIo::new(stream), answer)
    );
    tokio::select! {
        // how it ended is nobody's business but the client's
        _ = connection.as_mut() => return,
        () = stopping.notified() => {}
        () = idle(pace) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ = connection => {}
        () = farewell(pace) => {}
    }
}

/// Ends when nothing has been asked for long enough. The connection itself ends by force a little later, see [`farewell`].
async fn idle(pace: &Pace) {
    loop {
        // while there is work, the idle time starts anew in any case
        let end = pace.ends_at().map_or_else(|| Instant::now() + FAREWELL, |end| end - FAREWELL);
        if end <= Instant::now() {
            return;
        }
        sleep_until(end.into()).await;
    }
}

/// What is in hand may be finished, and then the client has some time to close.
async fn farewell(pace: &Pace) {
    while pace.ends_at().is_none() {
        tokio::time::sleep(FAREWELL).await;
    }
    tokio::time::sleep(FAREWELL).await;
}

/// Runs streams on this thread, each for so long (a body, the work on it, the answer): neither a handler nor a client that takes nothing of its answer keeps one for ever.
#[derive(Clone)]
struct Streams {
    pace: Rc<Pace>,
    limit: Duration,
}

impl<F: Future + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let (in_hand, limit) = (self.pace.begin(), self.limit);
        rt::spawn(async move {
            let _in_hand = in_hand;
            if timeout(limit, stream).await.is_err() {
                metrics::counter!("portcullis_http2_streams_given_up_total").increment(1);
            }
        });
    }
}

async fn answer<A>(app: &A, request: hyper::Request<Incoming>, peer: SocketAddr) -> io::Result<hyper::Response<Answer>>
where
    A: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error>,
{
    let is_head = request.method() == hyper::Method::HEAD;
    let request = as_over_http1(request, peer).ok_or(io::ErrorKind::InvalidInput)?;
    let response = app.call(request).await.map_or_else(|error| error.error_response(), |answer| answer.into_parts().1);
    Ok(as_over_http2(response, is_head))
}

/// `None`: what HTTP/1.1 has no words for; the stream is reset.
fn as_over_http1(request: hyper::Request<Incoming>, peer: SocketAddr) -> Option<Request> {
    let (parts, body) = request.into_parts();
    let mut request = Request::with_payload(payload(body));
    let head = request.head_mut();
    head.version = Version::HTTP_2;
    head.peer_addr = Some(peer);
    head.method = Method::from_bytes(parts.method.as_str().as_bytes()).ok()?;
    let authority = parts.uri.authority().map(hyper::http::uri::Authority::as_str);
    // CONNECT has no path, here as there
    let target = parts.uri.path_and_query().map(hyper::http::uri::PathAndQuery::as_str).or(authority)?;
    head.uri = target.parse().ok()?;
    for (name, value) in &parts.headers {
        let name = header::HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        head.headers.append(name, header::HeaderValue::from_bytes(value.as_bytes()).ok()?);
    }
    // RFC 9113 §8.3.1: `:authority` stands for `Host`; beside another one it is a second host, which is refused as over HTTP/1.1
    if let Some(authority) = authority
        && head.headers.get_all(header::HOST).all(|host| host.as_bytes() != authority.as_bytes())
    {
        head.headers.append(header::HOST, header::HeaderValue::from_str(authority).ok()?);
    }
    Some(request)
}

fn payload(body: Incoming) -> Payload<BoxedPayloadStream> {
    let chunks = stream::unfold(Unread(Some(body)), |mut body| async move {
        let chunk = next_chunk(body.0.as_mut()?).await?.map_err(|error| PayloadError::Io(io::Error::other(error)));
        Some((chunk, body))
    });
    Payload::Stream { payload: Box::pin(chunks) }
}

async fn next_chunk(body: &mut Incoming) -> Option<hyper::Result<Bytes>> {
    loop {
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?.map(Frame::into_data) {
            Ok(Ok(bytes)) => return Some(Ok(bytes)),
            // trailers say nothing here
            Ok(Err(_)) => {}
            Err(error) => return Some(Err(error)),
        }
    }
}

/// What nobody has read of a body is taken for a while and thrown away: its stream would be reset behind the answer (RFC 9113 §8.1), and
/// there are clients that lose the answer with it (curl before 8).
struct Unread(Option<Incoming>);

impl Drop for Unread {
    fn drop(&mut self) {
        let Some(mut rest) = self.0.take().filter(|body| !body.is_end_stream()) else { return };
        // there is none when the service ends
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(LINGER, async move { while let Some(Ok(_)) = next_chunk(&mut rest).await {} }));
        }
    }
}

fn as_over_http2(response: HttpResponse, is_head: bool) -> hyper::Response<Answer> {
    let (response, body) = response.into_parts();
    let mut answer = hyper::Response::new(Answer { body: Box::pin(body), is_head });
    *answer.status_mut() = hyper::StatusCode::from_u16(response.status().as_u16()).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in response.headers() {
        let name = hyper::header::HeaderName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, hyper::header::HeaderValue::from_bytes(value.as_bytes())) {
            answer.headers_mut().append(name, value);
        }
    }
    // what HTTP/1.1 would say: also of the body that HEAD leaves out, and nothing where there can be none (RFC 9110 §8.6)
    if let BodySize::Sized(length) = answer.body().body.size()
        && answer.status() != hyper::StatusCode::NO_CONTENT
    {
        answer.headers_mut().insert(hyper::header::CONTENT_LENGTH, length.into());
    }
    answer
}

/// The body of an answer.
struct Answer {
    body: Pin<Box<BoxBody>>,
    is_head: bool,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.body
            .as_mut()
            .poll_next(context)
            .map(|chunk| chunk.map(|chunk| chunk.map(Frame::data).map_err(|error| io::Error::other(error.to_string()))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_head || matches!(self.body.size(), BodySize::None | BodySize::Sized(0))
    }

    fn size_hint(&self) -> SizeHint {
        match self.body.size() {
            BodySize::None => SizeHint::with_exact(0),
            BodySize::Sized(length) => SizeHint::with_exact(length),
            BodySize::Stream => SizeHint::default(),
        }
    }
}
