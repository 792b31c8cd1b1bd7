//! What an ID token says, judged one claim after the other (OpenID Connect Core §3.1.3.7): made by this issuer, for this client, now, for
//! this very sign-in.
//! Practice 1.oauth-oidc. Attacks: `tests/suite/attacks/s10_access_control/forged_id_token.rs`.

use crate::platform::crypto;
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};
use time::{Duration, OffsetDateTime};

/// How far an issuer's clock may be from ours.
pub(super) const LEEWAY: Duration = Duration::seconds(30);
/// An ID token is made for the sign-in that it comes with.
const OLDEST: Duration = Duration::minutes(10);
/// Longest `sub` (OpenID Connect Core §2).
const LONGEST_SUBJECT: usize = 255;

/// Claims of ID tokens and of access tokens. What others may put in in many forms stays as it is until it is looked at.
#[derive(Deserialize)]
pub(super) struct Claims {
    pub iss: String,
    pub sub: String,
    aud: Audience,
    azp: Option<String>,
    #[serde(deserialize_with = "moment")]
    exp: OffsetDateTime,
    #[serde(deserialize_with = "moment")]
    iat: OffsetDateTime,
    #[serde(default, deserialize_with = "optional_moment")]
    nbf: Option<OffsetDateTime>,
    #[serde(default, deserialize_with = "optional_moment")]
    pub auth_time: Option<OffsetDateTime>,
    pub nonce: Option<String>,
    pub at_hash: Option<Value>,
    pub jti: Option<Value>,
    pub amr: Option<Value>,
    /// Who somebody is to people.
    #[serde(flatten)]
    pub profile: Profile,
}

/// What a provider tells of a person.
#[derive(Deserialize, Default)]
pub(super) struct Profile {
    pub email: Option<Value>,
    pub email_verified: Option<Value>,
    pub name: Option<Value>,
    /// Google's name for the organisation whose accounts it runs.
    pub hd: Option<Value>,
}

/// One or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Claims {
    /// Whether it is meant for this audience, and whether for others, too.
    pub(super) fn is_for(&self, audience: &str) -> (bool, bool) {
        match &self.aud {
            Audience::One(one) => (one == audience, false),
            Audience::Several(several) => (several.iter().any(|one| one == audience), several.len() > 1),
        }
    }

    /// Whether it is good at this time.
    pub(super) fn is_in_time(&self, now: OffsetDateTime) -> bool {
        let begins = self.nbf.unwrap_or(self.iat).max(self.iat);
        now < self.exp + LEEWAY && begins <= now + LEEWAY && self.iat < self.exp
    }

    /// Whom it is about: never empty, short, and nothing that a database or a log would stumble over.
    pub(super) fn subject(&self) -> Option<&str> {
        let is_fine = !self.sub.is_empty() && self.sub.len() <= LONGEST_SUBJECT && !self.sub.chars().any(char::is_control);
        is_fine.then_some(self.sub.as_str())
    }
}

/// What an ID token must say.
pub(super) struct Expected<'e> {
    pub issuer: &'e str,
    pub client: &'e str,
    pub nonce: &'e str,
    /// The person must have proven themselves since then.
    pub proven_since: Option<OffsetDateTime>,
    pub now: OffsetDateTime,
}

/// `Err`: why it is worth nothing.
pub(super) fn judge(claims: &Claims, expected: &Expected<'_>) -> Result<(), &'static str> {
    let (is_ours, is_for_others) = claims.is_for(expected.client);
    if claims.iss != expected.issuer {
        return Err("iss");
    }
    if !is_ours {
        return Err("aud");
    }
    if claims.azp.as_deref().map_or(is_for_others, |party| party != expected.client) {
        return Err("azp");
    }
    if !claims.is_in_time(expected.now) || expected.now - claims.iat > OLDEST {
        return Err("time");
    }
    if !claims.nonce.as_ref().is_some_and(|nonce| crypto::equal(nonce.as_bytes(), expected.nonce.as_bytes())) {
        return Err("nonce");
    }
    if claims.subject().is_none() {
        return Err("sub");
    }
    match (expected.proven_since, claims.auth_time) {
        (Some(since), at) if at.is_none_or(|at| at + LEEWAY < since) => Err("auth_time"),
        (_, Some(at)) if at > expected.now + LEEWAY => Err("auth_time"),
        _ => Ok(()),
    }
}

/// RFC 7519 §2: seconds, of which there may be fractions.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OffsetDateTime, D::Error> {
    read(&Number::deserialize(deserializer)?).ok_or_else(|| serde::de::Error::custom("is no time"))
}

fn optional_moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OffsetDateTime>, D::Error> {
    let number = Option::<Number>::deserialize(deserializer)?;
    number.map(|number| read(&number).ok_or_else(|| serde::de::Error::custom("is no time"))).transpose()
}

fn read(number: &Number) -> Option<OffsetDateTime> {
    // some years before the last one, so that a time can be added to it
    const LAST: f64 = 250_000_000_000.0;
    let seconds = number.as_f64().filter(|seconds| (0.0..LAST).contains(seconds))?;
    #[expect(clippy::cast_possible_truncation, reason = "it is within a range that fits")]
    OffsetDateTime::from_unix_timestamp(seconds as i64).ok()
}
