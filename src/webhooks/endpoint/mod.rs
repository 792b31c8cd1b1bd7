//! Who is told of events: an address that anybody may be at, so it is asked only within the fence (`platform/fence.rs`), and the keys by which
//! whoever is there knows that it is us. Practices 11.signature, 11.https-only, 2.no-plaintext.
//! Attacks: `tests/suite/attacks/s11_webhooks/request_forgery.rs`.

mod keys;
mod published;
pub mod store;

pub use keys::{Keys, Unusable};
pub use published::{PUBLISHED, PublishedEvent, TEST};

use crate::platform::fence;
use std::str::FromStr;
use time::{Duration, OffsetDateTime};
use url::Url;
use uuid::Uuid;

/// The longest that replaced keys go on signing beside the new ones.
pub const LONGEST_OVERLAP: Duration = Duration::days(7);

/// Where an endpoint is. That it leads to somebody outside is looked at besides, here and at each delivery.
#[derive(Debug, Clone, PartialEq, Eq, utoipa::ToSchema)]
#[schema(value_type = String, format = "uri", min_length = 9, max_length = 500, pattern = "^[Hh][Tt][Tt][Pp][Ss]://[!-~]+$", example = "https://hooks.example/portcullis")]
pub struct Target(Url);

impl Target {
    /// As a client asks it.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// As it is kept.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// For the audit log: a path may be known to its owner only.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }
}

impl FromStr for Target {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        fence::address(text).map(Self)
    }
}

/// Why an endpoint is told nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, utoipa::ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum DisabledReason {
    /// Somebody who manages webhooks wanted it so.
    ByHand,
    /// It said that it is gone (410).
    Gone,
    /// Nothing arrived there for days.
    Failing,
}

impl DisabledReason {
    /// As it is kept and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ByHand => "by_hand",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

/// Who is told.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its id.
    pub id: Uuid,
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Of what it is told; `None`: of all that is published.
    pub events: Option<Vec<String>>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// By whom; `None`: by somebody who is gone.
    pub created_by: Option<Uuid>,
    /// Since when it is told nothing.
    pub disabled_at: Option<OffsetDateTime>,
    /// Why.
    pub disabled_reason: Option<String>,
    /// Since when nothing arrives.
    pub failing_since: Option<OffsetDateTime>,
    /// What it verifies with.
    pub public_key: String,
}

/// For the audit log, of an address that was kept.
#[must_use]
pub fn host_of(url: &str) -> String {
    url.parse::<Target>().map_or_else(|_| String::new(), |target| target.host().to_owned())
}
