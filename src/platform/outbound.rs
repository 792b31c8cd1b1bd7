//! Questions to other services: over TLS, to the address that is named and no other, bounded in time and size. What they answer is JSON
//! or nothing. Whom to ask comes from operators and from documents that those name, never from a caller.
//! Practice 1.third-party. Attacks: `tests/suite/attacks/s10_access_control/lying_provider.rs`.

use reqwest::{
    Client, Method, RequestBuilder, Response,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    redirect::Policy,
};
use serde::de::DeserializeOwned;
use std::time::Duration;
use url::{Host, Url};

/// The longest that a question may take, connection and answer together.
const PATIENCE: Duration = Duration::from_secs(4);
/// The largest answer, in bytes.
pub const LARGEST: usize = 256 * 1024;
/// The longest address, in bytes.
pub const LONGEST_URL: usize = 500;

/// No answer that could be used.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It is away, too slow, or says that it is its own fault.
    #[error("it does not answer: {0}")]
    Away(String),
    /// It refused, with this status and body.
    #[error("it refused with {0}")]
    Refused(u16, Vec<u8>),
    /// Not what was asked for.
    #[error("its answer is of no use: {0}")]
    Useless(&'static str),
}

/// Reads the address of something to ask.
///
/// # Errors
/// A reason for whoever named it.
pub fn address(text: &str, may_be_clear_here: bool) -> Result<Url, &'static str> {
    const NO_ADDRESS: &str = "is no https:// address";
    let url = Url::parse(text).map_err(|_| NO_ADDRESS)?;
    if text.len() > LONGEST_URL || !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("must be at most 500 bytes, without user and fragment");
    }
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => return Err(NO_ADDRESS),
    };
    let is_fine = url.scheme() == "https" || url.scheme() == "http" && is_here && may_be_clear_here;
    if is_fine { Ok(url) } else { Err(NO_ADDRESS) }
}

/// How one shows who asks.
pub enum Credentials<'c> {
    /// Not at all.
    None,
    /// A user and a password (RFC 7617).
    Basic(&'c str, &'c str),
    /// A token (RFC 6750).
    Bearer(&'c str),
}

/// Asks other services. Cheap to clone.
#[derive(Clone)]
pub struct Outbound(Client);

impl Outbound {
    /// A client that connects when it is used.
    ///
    /// # Errors
    /// When the library or the system's list of authorities cannot be used.
    pub fn new() -> anyhow::Result<Self> {
        let client = Client::builder().timeout(PATIENCE).connect_timeout(PATIENCE).redirect(Policy::none()).pool_idle_timeout(PATIENCE);
        // some refuse who does not say what they are
        Ok(Self(client.user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION"))).referer(false).build()?))
    }

    /// Reads a document.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn get<T: DeserializeOwned>(&self, url: &Url, credentials: Credentials<'_>) -> Result<T, Fault> {
        ask(self.0.request(Method::GET, url.clone()), credentials).await
    }

    /// Posts a form.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn post<T: DeserializeOwned>(&self, url: &Url, form: &[(&str, &str)], credentials: Credentials<'_>) -> Result<T, Fault> {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.0.request(Method::POST, url.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        ask(request, credentials).await
    }
}

async fn ask<T: DeserializeOwned>(request: RequestBuilder, credentials: Credentials<'_>) -> Result<T, Fault> {
    let request = match credentials {
        Credentials::None => request,
        Credentials::Basic(user, password) => request.basic_auth(user, Some(password)),
        Credentials::Bearer(token) => {
            let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| Fault::Useless("a token that no header can carry"))?;
            value.set_sensitive(true);
            request.header(AUTHORIZATION, value)
        }
    };
    let response = request.header(ACCEPT, "application/json").send().await.map_err(away)?;
    let status = response.status();
    if status.is_server_error() || status.as_u16() == 429 {
        return Err(Fault::Away(format!("status {}", status.as_u16())));
    }
    let body = bounded(response).await?;
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|_| Fault::Useless("not the JSON that was expected"));
    }
    Err(if status.is_client_error() { Fault::Refused(status.as_u16(), body) } else { Fault::Useless("neither an answer nor a refusal") })
}

async fn bounded(mut response: Response) -> Result<Vec<u8>, Fault> {
    const TOO_LARGE: Fault = Fault::Useless("larger than 256 KiB");
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(away)? {
        if body.len() + piece.len() > LARGEST {
            return Err(TOO_LARGE);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// Why, without the address: it is in the settings.
fn away(error: reqwest::Error) -> Fault {
    Fault::Away(crate::platform::telemetry::causes(&error.without_url().into()).to_string())
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn clear_text_stays_on_this_machine_and_only_where_it_is_allowed() {
        for text in ["https://id.example", "https://id.example:8443/realms/a?b=c"] {
            assert!(address(text, false).is_ok(), "{text}");
        }
        for text in ["http://127.0.0.1:1", "http://[::1]:1/x", "http://localhost/"] {
            assert!(address(text, true).is_ok() && address(text, false).is_err(), "{text}");
        }
        for text in ["", "id.example", "http://id.example", "http://127.0.0.1.example", "https://u@id.example", "https://u:p@id.example"] {
            assert!(address(text, true).is_err(), "{text}");
        }
        for text in ["https://id.example/#x", "file:///etc/passwd", "data:,x", "ftp://localhost"] {
            assert!(address(text, true).is_err(), "{text}");
        }
    }
}
