//! Web origins: scheme, host and port, compared as a whole (RFC 6454). No prefixes, suffixes or patterns, so that no
//! look-alike of an allowed origin passes (practice 6.allow-list).

use crate::{credentials::passkey::RelyingParty, settings::reader::Reader};
use std::fmt;
use time::Duration;
use url::Url;

/// An origin in its serialised form, like `https://app.example:8443`. The default port is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// Parses an origin: a URL without user, path, query and fragment.
    ///
    /// # Errors
    /// A reason for the operator.
    pub fn parse(text: &str, insecure_allowed: bool) -> Result<Self, &'static str> {
        const NOT_HTTPS: &str = "is no https:// origin";
        let url = Url::parse(text).map_err(|_| NOT_HTTPS)?;
        if url.scheme() != "https" && !(insecure_allowed && url.scheme() == "http") {
            return Err(NOT_HTTPS);
        }
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
        if !bare || text.contains('*') {
            return Err("must be scheme, host and port only");
        }
        Ok(Self(url.origin().ascii_serialization()))
    }

    /// The serialised form, as browsers send it in `Origin`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host, without the port.
    #[must_use]
    pub fn host(&self) -> String {
        Url::parse(&self.0).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The service as passkeys know it, where its public URL will do.
pub(super) fn relying_party(read: &mut Reader, public_url: Option<&Origin>, lifetime: Duration) -> Option<RelyingParty> {
    let party = RelyingParty::of(public_url?.as_str(), lifetime);
    party.inspect_err(|reason| read.refuse("PORTCULLIS_PUBLIC_URL", reason)).ok()
}

#[cfg(test)]
mod tests {
    use super::Origin;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert_eq!(Origin::parse("https://App.Example:443/", false).unwrap().as_str(), "https://app.example");
        assert_eq!(Origin::parse("https://a.example:8443", false).unwrap().host(), "a.example");
        assert!(Origin::parse("http://localhost:3000", true).is_ok());
        for text in [
            "",
            "*",
            "null",
            "http://a.example",
            "https://*.example",
            "https://a.example/x",
            "https://u@a.example",
            "https://a.example?x",
            "a.example",
        ] {
            assert!(Origin::parse(text, false).is_err(), "{text}");
        }
    }
}
