//! Where a proxy ends TLS (`PORTCULLIS_TLS=proxy`), clear text is taken from that proxy only, and only for what came to it by HTTPS.
//! Whatever else arrives has been seen on the way. Practice 7.tls. Attacks: `tests/suite/attacks/s07_tls/around_the_proxy.rs`.

use crate::{
    error::{ApiError, ErrorCode},
    settings::Tls,
    state::State,
};
use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Data,
};

pub(super) async fn proxied<B: MessageBody + 'static>(
    state: Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    if !came_by_https(&request, &state) {
        return Err(ApiError::new(ErrorCode::HttpsRequired).into());
    }
    next.call(request).await
}

/// Whether the call reached the service, or the proxy that ends TLS for it, by HTTPS.
pub(super) fn came_by_https(request: &ServiceRequest, state: &State) -> bool {
    if !matches!(state.settings.tls, Tls::Proxy) {
        return true;
    }
    let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
    let is_proxy = peer.is_some_and(|peer| state.settings.trusted_proxies.iter().any(|network| network.contains(&peer)));
    let mut schemes = request.headers().get_all("x-forwarded-proto");
    is_proxy && schemes.next().is_some_and(|scheme| scheme == "https") && schemes.next().is_none()
}
