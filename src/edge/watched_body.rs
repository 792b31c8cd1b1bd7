//! How far a request's body has come, for layers that decide by it.
//! Practice 4.dos. Attacks: `tests/suite/attacks/s04_rate_limits/silent_guessing.rs`, `tests/interop/slow_clients.rs`.

use actix_web::{
    HttpMessage,
    dev::{Payload, ServiceRequest},
    error::PayloadError,
    web::Bytes,
};
use futures_util::Stream;
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// What became of the body when somebody asked for more of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// It has not come yet.
    Awaited,
    /// Some came.
    Came,
    /// There is no more, and may never have been any.
    Whole,
}

/// Tells of the body, from here on.
pub(super) fn watch(request: &mut ServiceRequest, tell: impl Fn(Body) + Unpin + 'static) {
    match request.take_payload() {
        Payload::None => tell(Body::Whole),
        body => request.set_payload(Payload::Stream { payload: Box::pin(Watched { body, tell }) }),
    }
}

struct Watched<F> {
    body: Payload,
    tell: F,
}

impl<F: Fn(Body) + Unpin> Stream for Watched<F> {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = Pin::new(&mut self.body).poll_next(context);
        (self.tell)(match &polled {
            Poll::Pending => Body::Awaited,
            Poll::Ready(Some(_)) => Body::Came,
            Poll::Ready(None) => Body::Whole,
        });
        polled
    }
}
