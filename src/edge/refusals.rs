//! Marks what a signed-in person is refused for want of a permission, or asks for that is not there: many different ones are
//! somebody looking for a door that was left open. In memory; a job looks at them.
//!
//! What a foreign page makes a browser ask for with the person's cookie is no doing of theirs, and leaves none: else any page of a sibling
//! site could raise an alert about its visitors. So a thief of a cookie who says that he is such a page leaves none either; with a token
//! everything counts.
//! Practice 4.alert-suspicious. Attacks: `tests/suite/attacks/s04_rate_limits/suspicious_patterns.rs`.

use crate::{
    access::{Principal, Transport},
    audit::alerts::signals::{Kind, Signal},
    edge::{csrf::comes_from_an_allowed_page, request_log::RequestId},
    error::{ApiError, Enveloped, ErrorCode},
    state::State,
};
use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::StatusCode,
    middleware::Next,
    web::Data,
};

pub(super) async fn refusals<B: MessageBody + 'static>(
    state: Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let is_own_doing =
        |principal: &Principal| principal.transport != Transport::Cookie || comes_from_an_allowed_page(request.headers(), &state.settings);
    let person = request.extensions().get::<Principal>().filter(|principal| is_own_doing(principal)).map(|principal| principal.account);
    let Some(account) = person else { return next.call(request).await };
    let id = request.extensions().get::<RequestId>().map(|RequestId(id)| *id);
    let asked = format!("{} {}", request.method(), request.path());
    let outcome = next.call(request).await;
    let is_probe = match &outcome {
        Ok(answer) => match answer.response().extensions().get::<Enveloped>() {
            Some(Enveloped(code)) => is_probe(*code),
            // a path that is no route: the envelope comes later
            None => answer.status() == StatusCode::NOT_FOUND,
        },
        Err(error) => error.as_error::<ApiError>().is_some_and(|error| is_probe(error.code())),
    };
    if is_probe {
        let signal = Signal::between(Kind::PermissionDenied, &state.keyring, &asked, &account.to_string());
        state.signals.note(signal.about(Some(account), id), state.clock.now());
    }
    outcome
}

fn is_probe(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::Forbidden | ErrorCode::NotFound)
}
