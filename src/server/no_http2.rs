//! Stands in for `http2.rs` in a build without the feature `http2`: nobody is offered it.

use super::listener::{Listener, Stream};
use crate::edge::pace::Pace;
use actix_server::GracefulShutdownSignal;
use std::{net::SocketAddr, rc::Rc};

/// What is spoken over TLS.
pub(super) const PROTOCOLS: &[&str] = &["http/1.1"];

/// Never called: no connection agrees on HTTP/2.
pub(super) async fn serve<A>(stream: Stream, _: &Rc<Pace>, _: SocketAddr, _: &Rc<A>, _: &Listener, _: &GracefulShutdownSignal) {
    drop(stream);
}
