//! How sources sign: Standard Webhooks, GitHub's way, Stripe's way. Each is read from its own headers and verified by its own keys; nothing
//! in a message chooses another one (practice 11.signature). All three sign the body byte by byte; what else they sign differs, and what is
//! not signed is not believed. Attacks: `tests/suite/attacks/s11_webhooks/forged_webhook.rs`.

use crate::{
    platform::{crypto, maybe_text::MaybeText},
    webhooks::signature::{ID, MAX_SIGNATURES, Message, MessageId, PublicKey, SIGNATURE, Secret, TIMESTAMP, Timestamp},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use time::{Duration, OffsetDateTime};

/// GitHub's headers: who signed what, and which delivery it is, unsigned.
const GITHUB: [&str; 2] = ["x-hub-signature-256", "x-github-delivery"];
/// Stripe's header: `t=…,v1=…`.
const STRIPE: &str = "stripe-signature";

/// Why a delivery is refused: for operators. Its sender is told no more than that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// From outside the source's networks.
    Network,
    /// Headers of its scheme are missing, twice there, or cannot be read.
    Headers,
    /// Its time is too far from ours.
    Time,
    /// The body is too long.
    Size,
    /// No key of the source made the signature.
    Signature,
    /// The signature holds, and the body is no JSON object, or says not which event it is.
    Contents,
    /// The signature holds, and another message had its id.
    Reused,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Network, Self::Headers, Self::Time, Self::Size, Self::Signature, Self::Contents, Self::Reused];

    /// For the log and the metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Headers => "headers",
            Self::Time => "time",
            Self::Size => "size",
            Self::Signature => "signature",
            Self::Contents => "contents",
            Self::Reused => "reused",
        }
    }
}

/// What a source signs with; several, while they are replaced.
pub enum Keys {
    /// Standard Webhooks. Where there is no secret, `v1` is worth nothing; where there is no public key, `v1a` is.
    Standard {
        /// For `v1`.
        secrets: Vec<Secret>,
        /// For `v1a`.
        public_keys: Vec<PublicKey>,
    },
    /// `X-Hub-Signature-256`: HMAC-SHA256 over the body alone. Neither a time nor an id is signed.
    GitHub(Vec<SecretString>),
    /// `Stripe-Signature`: HMAC-SHA256 over `{t}.{body}`; the event's id is in the body.
    Stripe(Vec<SecretString>),
}

/// What the headers say, unverified.
pub enum Claim {
    /// Of Standard Webhooks.
    Standard {
        /// The message's id.
        id: MessageId,
        /// When it was sent.
        at: Timestamp,
        /// The list of signatures, as it came.
        signatures: String,
    },
    /// GitHub's.
    GitHub {
        /// The only signature.
        signature: Vec<u8>,
    },
    /// Stripe's.
    Stripe {
        /// When it was sent.
        at: Timestamp,
        /// The signatures.
        signatures: Vec<Vec<u8>>,
    },
}

impl Keys {
    /// Reads the headers of this scheme. `header` gives the value of one that is there once.
    #[must_use]
    pub fn claim<'h>(&self, header: impl Fn(&'static str) -> Option<&'h str>) -> Option<Claim> {
        match self {
            Self::Standard { .. } => {
                let signatures = header(SIGNATURE).filter(|list| list.split(' ').count() <= MAX_SIGNATURES)?.to_owned();
                Some(Claim::Standard { id: header(ID)?.parse().ok()?, at: header(TIMESTAMP)?.parse().ok()?, signatures })
            }
            Self::GitHub(_) => {
                let _: MessageId = header(GITHUB[1])?.parse().ok()?;
                Some(Claim::GitHub { signature: crypto::from_hex(header(GITHUB[0])?.strip_prefix("sha256=")?)? })
            }
            Self::Stripe(_) => {
                let parts: Vec<(&str, &str)> = header(STRIPE)?.split(',').map(|part| part.split_once('=')).collect::<Option<_>>()?;
                let of = |kind: &'static str| parts.iter().filter(move |(name, _)| *name == kind).map(|(_, value)| *value);
                let at = of("t").next().filter(|_| of("t").count() == 1)?.parse().ok()?;
                let signatures: Vec<Vec<u8>> = of("v1").map(crypto::from_hex).collect::<Option<_>>()?;
                (1..=MAX_SIGNATURES).contains(&signatures.len()).then_some(Claim::Stripe { at, signatures })
            }
        }
    }

    /// Whether one of these keys signed this body with these headers. All keys are tried, whichever fits.
    #[must_use]
    pub fn made(&self, claim: &Claim, body: &[u8]) -> bool {
        let is_one_of = |secrets: &[SecretString], parts: &[&[u8]], signatures: &[Vec<u8>]| {
            secrets.iter().fold(false, |found, secret| {
                let expected = crypto::hmac_sha256(secret.expose_secret().as_bytes(), parts);
                signatures.iter().fold(found, |found, given| found | crypto::equal(given, &expected))
            })
        };
        match (self, claim) {
            (Self::Standard { secrets, public_keys }, Claim::Standard { id, at, signatures }) => {
                Message { id, timestamp: *at, body }.verify(signatures, secrets, public_keys).is_ok()
            }
            (Self::GitHub(secrets), Claim::GitHub { signature }) => is_one_of(secrets, &[body], std::slice::from_ref(signature)),
            (Self::Stripe(secrets), Claim::Stripe { at, signatures }) => is_one_of(secrets, &[at.to_string().as_bytes(), b".", body], signatures),
            _ => false,
        }
    }
}

impl Claim {
    /// Whether it was sent about now. What has no time is only stopped by what it spends, which is kept for good.
    #[must_use]
    pub fn is_timely(&self, tolerance: Duration, now: OffsetDateTime) -> bool {
        match self {
            Self::Standard { at, .. } | Self::Stripe { at, .. } => at.is_within(tolerance, now),
            Self::GitHub { .. } => true,
        }
    }
}

/// What the body says of itself, once it is known to be the source's.
#[derive(Deserialize)]
pub(super) struct Head {
    #[serde(default)]
    id: MaybeText<String>,
    #[serde(default, rename = "type")]
    kind: MaybeText<String>,
    /// What GitHub's bodies have of the kind.
    #[serde(default)]
    action: MaybeText<String>,
}

impl Head {
    /// `None`: no JSON object in UTF-8, or one that says it twice.
    pub(super) fn of(body: &[u8]) -> Option<Self> {
        let text = str::from_utf8(body).ok().filter(|text| text.trim_ascii_start().starts_with('{'))?;
        serde_json::from_str(text).ok()
    }

    pub(super) fn id(&self) -> Option<MessageId> {
        self.id.0.as_deref()?.parse().ok()
    }

    /// The kind of event, where it is 1 to 100 of `A-Za-z0-9_.:-`.
    pub(super) fn kind(&self) -> Option<String> {
        let is_kind =
            |text: &&str| (1..=100).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte));
        self.kind.0.as_deref().or(self.action.0.as_deref()).filter(is_kind).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(keys: &Keys, headers: &[(&str, &str)]) -> bool {
        keys.claim(|name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)).is_some()
    }

    #[test]
    fn headers_of_a_scheme_are_whole_or_nothing() {
        let digest = "00".repeat(32);
        let github = Keys::GitHub(vec![]);
        let signed = format!("sha256={digest}");
        assert!(claims(&github, &[("x-hub-signature-256", &signed), ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")]));
        assert!(!claims(&github, &[("x-hub-signature-256", &signed)]));
        assert!(!claims(&github, &[("x-hub-signature-256", &digest), ("x-github-delivery", "1")]), "SHA-1 had no prefix of its own once");
        let stripe = Keys::Stripe(vec![]);
        for (header, is_fine) in [
            (format!("t=1492774577,v1={digest},v1={digest},v0={digest}"), true),
            (format!("t=1492774577,v0={digest}"), false),
            (format!("v1={digest}"), false),
            (format!("t=1492774577,t=1492774578,v1={digest}"), false),
            (format!("t=01492774577,v1={digest}"), false),
            (format!("t=1492774577,v1={digest}x"), false),
            (format!("t=1492774577{}", format!(",v1={digest}").repeat(MAX_SIGNATURES + 1)), false),
        ] {
            assert_eq!(claims(&stripe, &[("stripe-signature", &header)]), is_fine, "{header}");
        }
    }

    /// From GitHub's documentation of how to verify a delivery.
    #[test]
    fn githubs_published_example_holds() {
        let keys = Keys::GitHub(vec!["another one".into(), "It's a Secret to Everybody".into()]);
        let signature = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let claim = Claim::GitHub { signature: crypto::from_hex(signature).unwrap() };
        assert!(keys.made(&claim, b"Hello, World!") && !keys.made(&claim, b"Hello, World?"));
    }

    #[test]
    fn a_body_that_says_it_twice_says_nothing() {
        let kind = |body: &str| Head::of(body.as_bytes()).map(|head| head.kind());
        assert_eq!(kind(r#"{"type":"user.deactivated","data":{"type":1}}"#), Some(Some("user.deactivated".into())));
        assert_eq!(kind(r#"{"action":"opened"}"#), Some(Some("opened".into())));
        assert_eq!(kind(r#"{"type":"two words"}"#), Some(None));
        for other in ["null", "true", "7", "-7", "1.5", "1e400", r#"[[1,{"a":"b"}],"x"]"#, r#"{"type":"a","b":[]}"#] {
            let expected = (other != "1e400").then(|| Some("opened".to_owned()));
            assert_eq!(kind(&format!(r#"{{"id":{other},"type":{other},"action":"opened"}}"#)), expected, "{other}");
        }
        assert_eq!(kind(r#"{"type":"\u0061bc"}"#), Some(Some("abc".into())));
        for wrong in ["", "[]", r#"["a","b","c"]"#, r#""x""#, "{", r#"{"type":"a","type":"b"}"#, "{} {}"] {
            assert_eq!(kind(wrong), None, "{wrong}");
        }
        assert!(Head::of(b"{\"type\":\"\xff\"}").is_none());
    }
}
