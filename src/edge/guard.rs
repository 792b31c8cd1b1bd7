//! Who may call, as handler arguments. A handler's first argument is its guard: the route table does not compile otherwise,
//! and the API document says what the type says (practice 1.route-guard).
//! Attacks: `tests/suite/contract/`.

use crate::{
    access::Principal,
    edge::client_ip::ClientIp,
    error::{ApiError, ErrorCode},
};
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use std::{
    future::{Ready, ready},
    net::{IpAddr, Ipv6Addr},
};

/// What a guard demands, for the API document.
pub trait Guard: FromRequest<Error = ApiError> + 'static {
    /// The security scheme in the document; `None`: open to everybody.
    const SCHEME: Option<&'static str>;
}

/// Open to everybody.
pub struct Anyone {
    /// Who asks, as far as that is known.
    pub client: ClientIp,
    /// Who is signed in, if somebody is.
    pub principal: Option<Principal>,
}

/// A person with a live session.
pub struct SignedIn(pub Principal);

impl Guard for Anyone {
    const SCHEME: Option<&'static str> = None;
}

impl Guard for SignedIn {
    const SCHEME: Option<&'static str> = Some("session");
}

impl FromRequest for Anyone {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let unknown = ClientIp(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        let extensions = request.extensions();
        ready(Ok(Self { client: extensions.get().copied().unwrap_or(unknown), principal: extensions.get().copied() }))
    }
}

impl FromRequest for SignedIn {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let principal = request.extensions().get::<Principal>().copied();
        ready(principal.map(Self).ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated)))
    }
}
