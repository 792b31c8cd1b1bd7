//! Stands in for `reports.rs` in a build without the feature `sentry`: nothing is reported anywhere.

use secrecy::SecretString;
use std::convert::Infallible;
use tracing::Subscriber;
use tracing_subscriber::Layer;

/// There are none.
#[derive(Clone)]
pub struct Reports(Infallible);

impl Reports {
    /// Refuses: whoever sets an address wants reports.
    ///
    /// # Errors
    /// Always.
    pub fn to(_: &SecretString, _: &'static str) -> anyhow::Result<Self> {
        anyhow::bail!("PORTCULLIS_SENTRY_DSN is set, and this binary was built without the feature `sentry`")
    }

    /// Never asked.
    #[must_use]
    pub fn flush(&self) -> bool {
        match self.0 {}
    }
}

impl<S: Subscriber> Layer<S> for Reports {}
