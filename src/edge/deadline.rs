//! No request holds a place for ever. One that dribbles its body in ends with 408. Once everything has come, the work on it has as long
//! again, however late that was: a client that could cut our work short with its own slowness would have its wrong guesses told to
//! nobody. Work that takes longer is a fault of ours, and ends with 503.
//! Practice 4.dos. Attacks: `tests/suite/attacks/s04_rate_limits/slow_body.rs`, `tests/suite/attacks/s04_rate_limits/silent_guessing.rs`.

use crate::{
    edge::watched_body::{self, Body},
    error::{ApiError, ErrorCode},
    state::State,
};
use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Data,
};
use std::{cell::Cell, pin::pin, rc::Rc};
use tokio::time::{sleep, timeout};

pub(super) async fn deadline<B: MessageBody + 'static>(
    state: Data<State>,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let limit = state.settings.request_timeout;
    let is_whole = Rc::new(Cell::new(false));
    let whole = Rc::clone(&is_whole);
    watched_body::watch(&mut request, move |body| whole.set(body == Body::Whole));
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
