//! What a connection and the requests on it tell each other about time. The connection's reader knows when bytes come, the
//! application when a request begins and ends; together they can tell a client that waits from one that only holds a place:
//! between requests nothing may dribble in (a second request's headers, the rest of a refused body) for longer than a
//! request's head may take. Practice 4.dos. Attacks: `tests/suite/attacks/s04_rate_limits/slow_connections.rs`.

use crate::edge::watched_body::{self, Body};
use actix_web::{
    Error,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Bytes,
};
use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// An answer of at most this many bytes goes into the connection's own buffer at once.
const SMALL: u64 = 32 << 10;

/// The pace of one connection. Lives on one server thread.
pub struct Pace {
    limits: Limits,
    requests: Cell<u32>,
    /// When there was last nothing to do.
    idle_since: Cell<Instant>,
    /// When, after that, something came.
    disturbed_at: Cell<Option<Instant>>,
    /// Whether only what comes between requests is timed by the head.
    is_multiplexed: Cell<bool>,
    /// Whether the request in hand waits for more of its body.
    awaits_body: Cell<bool>,
    /// Waits until more is wanted.
    reader: Cell<Option<Waker>>,
}

/// How long a connection may hold its place without a request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Nothing comes.
    pub idle: Duration,
    /// Something comes, but no request is whole.
    pub head: Duration,
}

/// A request in hand; ends when dropped.
pub struct InHand(Rc<Pace>);

impl Pace {
    /// Of a connection that has just been made.
    #[must_use]
    pub fn new(limits: Limits) -> Rc<Self> {
        let now = Instant::now();
        Rc::new(Self {
            limits,
            requests: Cell::new(0),
            idle_since: Cell::new(now),
            // the first request is expected at once
            disturbed_at: Cell::new(Some(now)),
            is_multiplexed: Cell::new(false),
            awaits_body: Cell::new(false),
            reader: Cell::new(None),
        })
    }

    /// In HTTP/2 frames between requests are part of the protocol: only the idle time counts.
    pub fn multiplexes(&self) {
        self.is_multiplexed.set(true);
        self.disturbed_at.set(None);
    }

    /// A request has begun.
    #[must_use]
    pub fn begin(self: &Rc<Self>) -> InHand {
        self.requests.set(self.requests.get() + 1);
        InHand(Rc::clone(self))
    }

    /// Whether the request in hand waits for more of its body.
    pub fn awaits_body(&self, awaits: bool) {
        self.awaits_body.set(awaits);
        self.reader.take().into_iter().for_each(Waker::wake);
    }

    /// Waits while there is a request to work on: one at a time. Between requests there is always more to read, also what nobody has read
    /// of the last one's body.
    pub fn poll_wants_more(&self, context: &Context<'_>) -> Poll<()> {
        if self.requests.get() == 0 || self.awaits_body.get() {
            return Poll::Ready(());
        }
        self.reader.set(Some(context.waker().clone()));
        Poll::Pending
    }

    /// Bytes came.
    pub fn disturb(&self) {
        if self.requests.get() == 0 && !self.is_multiplexed.get() && self.disturbed_at.get().is_none() {
            self.disturbed_at.set(Some(Instant::now()));
        }
    }

    /// When the connection has held its place for long enough; `None`: there is work.
    #[must_use]
    pub fn ends_at(&self) -> Option<Instant> {
        let idle_ends_at = self.idle_since.get() + self.limits.idle;
        let head_ends_at = self.disturbed_at.get().map(|at| at + self.limits.head);
        (self.requests.get() == 0).then(|| head_ends_at.map_or(idle_ends_at, |at| at.min(idle_ends_at)))
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        let pace = &self.0;
        pace.requests.set(pace.requests.get() - 1);
        pace.idle_since.set(Instant::now());
        pace.disturbed_at.set(None);
        pace.awaits_body(false);
    }
}

/// Tells the connection that a request is in hand, until its answer has left. HTTP/2 counts its streams itself, and its requests
/// have no such connection data.
pub(super) async fn in_hand<B: MessageBody + 'static>(mut request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<BoxBody>, Error> {
    let pace = request.request().conn_data::<Rc<Pace>>().cloned();
    let in_hand = pace.map(|pace| {
        let in_hand = pace.begin();
        watched_body::watch(&mut request, move |body| pace.awaits_body(body == Body::Awaited));
        in_hand
    });
    let answer = next.call(request).await?.map_into_boxed_body();
    let Some(in_hand) = in_hand else { return Ok(answer) };
    match answer.response().body().size() {
        BodySize::None | BodySize::Sized(..=SMALL) => Ok(answer),
        _ => Ok(answer.map_body(|_, body| BoxBody::new(Leaving { body, _in_hand: in_hand }))),
    }
}

/// A long answer, in hand until its client has taken it.
struct Leaving {
    body: BoxBody,
    _in_hand: InHand,
}

impl MessageBody for Leaving {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_connection_with_work_has_no_end() {
        let limits = Limits { idle: Duration::from_secs(30), head: Duration::from_secs(10) };
        let pace = Pace::new(limits);
        let left = || pace.ends_at().map(|at| at.duration_since(pace.idle_since.get()).as_secs());
        assert_eq!(left(), Some(10), "the first request is expected at once");
        let (first, second) = (pace.begin(), pace.begin());
        drop(first);
        assert_eq!(left(), None);
        drop(second);
        assert_eq!(left(), Some(30), "between requests there is time");
        pace.disturb();
        assert_eq!(left(), Some(10), "until something comes");
        let begun = pace.disturbed_at.get();
        pace.disturb();
        assert_eq!(pace.disturbed_at.get(), begun, "more of it does not buy time");
        pace.multiplexes();
        pace.disturb();
        assert_eq!(left(), Some(30));
    }
}
