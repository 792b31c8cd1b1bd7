//! Where operators ask, and under which names.

use crate::settings::{Settings, SettingsError, Values, optional_address, reader::Reader};
use std::net::SocketAddr;
use url::Host;

/// The listener with health and metrics.
#[derive(Debug, Clone)]
pub struct Operators {
    /// Its address.
    pub listen: SocketAddr,
    /// Names with a dot under which it may be asked, beside those that no stranger can have (`edge/host.rs`): in lower case, without the
    /// root's dot.
    pub hosts: Vec<String>,
}

const LISTEN: &str = "PORTCULLIS_OPERATOR_LISTEN";

pub(super) fn read(read: &mut Reader) -> Option<Operators> {
    let hosts = read.list("PORTCULLIS_OPERATOR_HOSTS", |item| host_name(item).ok_or("is no name of a host"));
    read.optional(LISTEN, optional_address).flatten().map(|listen| Operators { listen, hosts })
}

/// Without the root's dot. A name that no request can have, like one with a `*`, would be an entry that does nothing.
fn host_name(text: &str) -> Option<String> {
    let Ok(Host::Domain(domain)) = Host::parse(text) else { return None };
    let name = domain.strip_suffix('.').unwrap_or(&domain);
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    name.split('.').all(is_label).then(|| name.to_owned())
}

impl Settings {
    /// The operators' address, whatever else is wrong with the settings.
    ///
    /// # Errors
    /// When it is none.
    pub fn operator_listen_in(values: &Values) -> Result<Option<SocketAddr>, SettingsError> {
        let own = values.get(LISTEN).map(|value| (LISTEN.to_owned(), value.to_owned()));
        let mut read = Reader::new(own.into_iter().collect());
        let address = read.optional(LISTEN, optional_address);
        address.ok_or_else(|| read.into_error())
    }
}
