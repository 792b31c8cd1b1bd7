//! A TCP stream that ends when its [`Pace`] does, or when the client takes nothing of what it is sent. It lies below TLS, so that a
//! handshake, HTTP/1.1 and HTTP/2 are all held to it. Practice 4.dos.
//! Attacks: `tests/suite/attacks/s04_rate_limits/slow_connections.rs`.

use crate::edge::pace::Pace;
use std::{
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

/// How often a connection looks at its pace, which may change while nothing is read.
const GLANCE: Duration = Duration::from_secs(1);

/// The stream.
pub(super) struct Paced {
    stream: TcpStream,
    pace: Rc<Pace>,
    glance: Pin<Box<Sleep>>,
    stall: Stall,
}

/// How long the client has taken nothing.
struct Stall {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    pub(super) fn new(stream: TcpStream, pace: Rc<Pace>, stall: Duration) -> Self {
        Self { stream, pace, glance: Box::pin(sleep(GLANCE)), stall: Stall { limit: stall, timer: None } }
    }
}

impl Stall {
    /// Passes on what a write came to; a client that has taken nothing for too long is given up.
    fn watch<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.timer = None;
            return written;
        }
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Paced {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            this.pace.disturb();
        }
        // also when something came: a client that never lets up must not escape
        if this.pace.ends_at().is_some_and(|end| end <= Instant::now()) {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        if read.is_pending() {
            while this.glance.as_mut().poll(context).is_ready() {
                let next =
                    this.pace.ends_at().map_or(GLANCE, |end| end.saturating_duration_since(Instant::now()).clamp(Duration::from_millis(1), GLANCE));
                this.glance.as_mut().reset(tokio::time::Instant::now() + next);
                if this.pace.ends_at().is_some_and(|end| end <= Instant::now()) {
                    return Poll::Ready(Err(ErrorKind::TimedOut.into()));
                }
            }
        }
        read
    }
}

impl AsyncWrite for Paced {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.stall.watch(written, context)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, bytes);
        this.stall.watch(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
