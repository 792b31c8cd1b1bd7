//! No request holds a place for ever. One that dribbles its body in ends with 408. Once everything has come, the work on it has as long
//! again, however late that was: a client that could cut our work short with its own slowness would have its wrong guesses told to
//! nobody. Work that takes longer is a fault of ours, and ends with 503.
//! Practice 4.dos. Attacks: `tests/suite/attacks/s04_rate_limits/slow_body.rs`, `tests/suite/attacks/s04_rate_limits/silent_guessing.rs`.

use crate::{
    error::{ApiError, ErrorCode},
    state::State,
};
use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    middleware::Next,
    web::{Bytes, Data},
};
use futures_util::Stream;
use std::{
    cell::Cell,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
};
use tokio::time::{sleep, timeout};

pub(super) async fn deadline<B: MessageBody + 'static>(
    state: Data<State>,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let limit = state.settings.request_timeout;
    let is_whole = watch_body(&mut request);
    let mut answer = pin!(next.call(request));
    tokio::select! {
        answer = answer.as_mut() => return answer,
        () = sleep(limit) => {}
    }
    if !is_whole.get() {
        return Err(ApiError::new(ErrorCode::Timeout).into());
    }
    let too_long = |_| Err(ApiError::unavailable(anyhow::anyhow!("work took longer than {limit:?}")).into());
    timeout(limit, answer).await.unwrap_or_else(too_long)
}

/// Whether the body has come to its end. One that nobody reads never does.
fn watch_body(request: &mut ServiceRequest) -> Rc<Cell<bool>> {
    let body = request.take_payload();
    let is_whole = Rc::new(Cell::new(matches!(body, Payload::None)));
    if !is_whole.get() {
        request.set_payload(Payload::Stream { payload: Box::pin(Watched { body, is_whole: Rc::clone(&is_whole) }) });
    }
    is_whole
}

struct Watched {
    body: Payload,
    is_whole: Rc<Cell<bool>>,
}

impl Stream for Watched {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunk = ready!(Pin::new(&mut self.body).poll_next(context));
        if chunk.is_none() {
            self.is_whole.set(true);
        }
        Poll::Ready(chunk)
    }
}
