//! E-mail addresses, parsed once. One mailbox has one spelling here, so that two accounts cannot share it, and none looks like another
//! by letters of another script. The rules are in `docs/input.md`.
//! Practices 3.schema, 3.nosql-operator.

use crate::accounts::text::{is_steering, is_unseen};
use std::{fmt, str::FromStr};
use url::Host;

/// Longest address in octets (RFC 5321 §4.5.3.1.3, less the angle brackets).
pub const MAX_LEN: usize = 254;
/// Longest local part in octets (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL: usize = 64;

/// A well-formed address: an unquoted ASCII local part and a domain of two labels or more, both in lower case, the domain in
/// its ASCII form (IDNA 2008, UTS 46). Quoted local parts, comments and address literals are refused: nobody signs up with
/// them, and parsers disagree about them.
#[derive(Clone, PartialEq, Eq, Hash, utoipa::ToSchema)]
#[schema(format = "email", min_length = 5, max_length = 254, example = "ada@example.org")]
pub struct Email(String);

impl Email {
    /// Parses an address.
    ///
    /// # Errors
    /// A reason that can be shown to the sender.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const MALFORMED: &str = "is no e-mail address";
        if text.len() > MAX_LEN {
            return Err("is longer than 254 octets");
        }
        // IDNA maps some of them to nothing
        if text.chars().any(|c| is_steering(c) || is_unseen(c)) {
            return Err("contains control, invisible or direction-changing characters");
        }
        let (local, domain) = text.rsplit_once('@').ok_or(MALFORMED)?;
        // RFC 5322 §3.2.3: dot-atom
        let is_atext = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~-".contains(c);
        let local_is_fine = local.len() <= MAX_LOCAL && local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext));
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| MALFORMED)?;
        let has_labels = domain.rsplit_once('.').is_some_and(|(_, last)| !last.is_empty());
        // what ends in a number, hexadecimal ones too, is read as an IP address or not at all (URL Standard §3.5)
        let is_name = matches!(Host::parse(&domain), Ok(Host::Domain(_)));
        if !(local_is_fine && has_labels && is_name) {
            return Err(MALFORMED);
        }
        let email = format!("{}@{domain}", local.to_ascii_lowercase());
        if email.len() > MAX_LEN { Err("is longer than 254 octets") } else { Ok(Self(email)) }
    }

    /// What one mailbox is counted by: without the tag behind a plus sign, which most servers ignore when they deliver.
    #[must_use]
    pub fn mailbox(&self) -> String {
        let (local, domain) = self.0.rsplit_once('@').unwrap_or((&self.0, ""));
        let untagged = local.split_once('+').map_or(local, |(untagged, _)| untagged);
        format!("{}@{domain}", if untagged.is_empty() { local } else { untagged })
    }

    /// The canonical spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        Self::parse(text)
    }
}

/// Personal data: shows the domain only, so that a stray `{:?}` puts no address into a log (practice 8.redaction).
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Email([redacted]@{})", self.0.rsplit_once('@').map_or("", |(_, domain)| domain))
    }
}

#[cfg(test)]
mod tests {
    use super::Email;

    #[test]
    fn one_mailbox_has_one_spelling() {
        for text in ["Ada@Example.org", "ada@EXAMPLE.ORG", "ada@example.org"] {
            assert_eq!(Email::parse(text).unwrap().as_str(), "ada@example.org");
        }
        for text in ["ada@bücher.example", "ada@BÜCHER.example", "ada@bu\u{308}cher.example", "ada@ｂücher。example", "ada@xn--BCHER-kva.example"]
        {
            assert_eq!(Email::parse(text).unwrap().as_str(), "ada@xn--bcher-kva.example", "{text}");
        }
        // another domain, and seen as one
        assert_eq!(Email::parse("ada@еxample.org").unwrap().as_str(), "ada@xn--xample-2of.org");
    }

    #[test]
    fn what_is_no_plain_address_is_refused() {
        for text in [
            "",
            "@",
            "a@",
            "@b.c",
            "a@b",
            "a b@c.d",
            "a@b..c",
            "a@.c",
            "a.@b.c",
            ".a@b.c",
            "a..b@c.d",
            "\"a\"@b.c",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "ada@1.2.3.0x4",
            "ada@example.0x",
            "ada@example.0X7f",
            "ada@example.1",
            "a@b.c\r\nBcc: x@y.z",
            "a\0@b.c",
            "a@b.c,d@e.f",
            "a@b.c ",
            "<a@b.c>",
            "a@b.c.",
            "а@b.c",
            "ａda@b.c",
            "é@b.c",
            "a\u{200d}da@b.c",
            "ada@b\u{ad}c.example",
            "ada@b\u{200b}c.example",
            "ada@b\u{202e}c.example",
            "ada@b\u{200d}c.example",
            "ada\u{feff}@b.c",
            "ada＠b.c",
            "ada@\u{5d0}1a.example",
            "ada@xn--a.example",
            "a@-b.c",
        ] {
            assert!(Email::parse(text).is_err(), "{text:?} was accepted");
        }
        assert!(Email::parse(&format!("{}@b.c", "a".repeat(65))).is_err());
        assert!(Email::parse(&format!("a@{}.c", "b".repeat(250))).is_err());
    }

    /// Any text is refused or becomes an address that stays as it is, in ASCII and lower case.
    #[test]
    fn what_is_taken_is_stable() {
        const PARTS: &str = "aAzé@@..-+'1lI\u{3002}\u{ff41}\u{430}\u{df}\u{130}\u{212a}\u{200d}\u{ad}\u{5d0} \u{0}";
        let parts: Vec<char> = PARTS.chars().collect();
        let (mut state, mut taken) = (1_u64, 0);
        for _ in 0..50_000 {
            let mut next = |below: usize| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                usize::try_from(state >> 33).unwrap() % below
            };
            let text: String = (0..next(9)).map(|_| parts[next(parts.len())]).chain(".example".chars()).collect();
            let Ok(email) = Email::parse(&text) else { continue };
            taken += 1;
            let spelling = email.as_str();
            assert!(Email::parse(spelling).unwrap() == email && spelling.is_ascii() && spelling == spelling.to_lowercase(), "{text:?}");
            assert!(
                Email::parse(&text.to_uppercase()).is_err() || Email::parse(&text.to_uppercase()).unwrap() == email || !text.is_ascii(),
                "{text:?}"
            );
        }
        assert!(taken > 200, "{taken} were taken");
    }

    #[test]
    fn debug_shows_no_address() {
        assert!(!format!("{:?}", Email::parse("ada@example.org").unwrap()).contains("ada"));
    }
}
