//! Posts to addresses of somebody else's choice. Each post looks its name up anew and connects to one of the addresses that were looked
//! at just then, so a name that led elsewhere a moment ago changes nothing (DNS rebinding); no redirect is followed, no proxy asked, no cookie
//! kept, no connection used twice, and of the answer nothing is read but its status and when to come back.
//! Practice 11.https-only. Attacks: `tests/suite/attacks/s11_webhooks/request_forgery.rs`.

use crate::platform::{
    fence::{Barred, Fence},
    telemetry,
};
use anyhow::Context;
use reqwest::{
    Certificate, Client,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{HeaderMap, RETRY_AFTER},
    redirect::Policy,
};
use std::{net::SocketAddr, time::Duration};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use url::Url;

/// Header fields of an answer; one with more is none.
const MOST_FIELDS: usize = 64;

/// What was answered.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// When the other side wants to be asked again (RFC 9110 §10.2.3), unbounded.
    pub retry_after: Option<time::Duration>,
}

/// No answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// Nobody is called there.
    #[error(transparent)]
    Barred(#[from] Barred),
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
    /// There is no connection, no TLS with somebody whom the authorities know by that name, or what came was no HTTP.
    #[error("it does not answer: {0}")]
    Away(String),
}

/// Posts within a [`Fence`]. Cheap to clone.
#[derive(Clone)]
pub struct Fenced {
    /// Where it posts to.
    pub fence: Fence,
    client: Client,
}

impl Fenced {
    /// A client that gives up after `patience`, and believes these authorities (PEM) beside the system's.
    ///
    /// # Errors
    /// When the library, the system's list of authorities or these cannot be used.
    pub fn new(fence: Fence, authorities: Option<&[u8]>, patience: Duration) -> anyhow::Result<Self> {
        let authorities = Certificate::from_pem_bundle(authorities.unwrap_or_default()).context("there are no certificates in PEM")?;
        let client = Client::builder()
            .https_only(true)
            .http1_only()
            .http1_max_headers(MOST_FIELDS)
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .timeout(patience)
            .connect_timeout(patience)
            .tls_certs_merge(authorities)
            .dns_resolver(Checked(fence.clone()))
            .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")));
        Ok(Self { fence, client: client.build()? })
    }

    /// Posts this.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub async fn post(&self, url: &Url, headers: HeaderMap, body: String, now: OffsetDateTime) -> Result<Answer, NoAnswer> {
        // an address is not looked up: nothing else would look at it
        if url.domain().is_none() {
            self.fence.check(url).await?;
        }
        let response = self.client.post(url.clone()).headers(headers).body(body).send().await.map_err(no_answer)?;
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|text| later(text, now));
        Ok(Answer { status: response.status().as_u16(), retry_after: after })
    }
}

/// A number of seconds, or a date (RFC 9110 §10.2.3).
fn later(text: &str, now: OffsetDateTime) -> Option<time::Duration> {
    let seconds = text.parse::<u32>().ok().map(|seconds| time::Duration::seconds(seconds.into()));
    seconds.or_else(|| OffsetDateTime::parse(text, &Rfc2822).ok().map(|date| date - now)).filter(|wait| wait.is_positive())
}

fn no_answer(error: reqwest::Error) -> NoAnswer {
    let mut cause = std::error::Error::source(&error);
    while let Some(found) = cause {
        if let Some(barred) = found.downcast_ref::<Barred>() {
            return NoAnswer::Barred(*barred);
        }
        cause = found.source();
    }
    if error.is_timeout() {
        return NoAnswer::TimedOut;
    }
    // without the address: it may hold what only its owner is to know
    NoAnswer::Away(telemetry::causes(&error.without_url().into()).to_string())
}

/// The connector takes what this gives, and nothing else.
struct Checked(Fence);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let fence = self.0.clone();
        Box::pin(async move {
            let found = fence.addresses(name.as_str()).await?;
            // the connector puts the port in
            Ok(Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_come_back_is_a_number_or_a_date() {
        let now = OffsetDateTime::from_unix_timestamp(784_111_777).unwrap() - time::Duration::MINUTE;
        assert_eq!(later("120", now), Some(time::Duration::minutes(2)));
        assert_eq!(later("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(time::Duration::MINUTE));
        for none in ["", "0", "-1", "1e9", "99999999999999999999", "Sun, 06 Nov 1984 08:49:37 GMT", "soon"] {
            assert_eq!(later(none, now), None, "{none}");
        }
    }
}
