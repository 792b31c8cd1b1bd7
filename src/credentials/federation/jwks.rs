//! Tokens that others have signed. A key verifies what it was published for and nothing else: its kind, its algorithm and its use must
//! fit, none of them is taken from the token, and no algorithm with a shared secret exists here (RFC 8725 §3.1).
//! Practices 1.oauth-oidc, 1.third-party. Attacks: `tests/suite/attacks/s10_access_control/forged_id_token.rs`,
//! `tests/suite/attacks/s10_access_control/foreign_tokens.rs`.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// Longest token, in bytes; longer ones are not even parsed. Some providers put whole lists of groups into theirs.
pub(super) const LONGEST: usize = 16 * 1024;
/// Most keys of one issuer.
const MOST_KEYS: usize = 100;

/// What a token says about itself before anything of it is believed.
#[derive(Deserialize)]
pub(super) struct Header {
    alg: String,
    pub kid: Option<String>,
    pub typ: Option<String>,
    /// Demands something that this reader must know (RFC 7515 §4.1.11); it knows nothing of the kind.
    crit: Option<Value>,
}

impl Header {
    /// `None`: it is no token that could be verified here.
    pub(super) fn of(token: &str) -> Option<Self> {
        let header: Self = part(token, 0)?;
        (header.crit.is_none() && header.algorithm().is_some()).then_some(header)
    }

    /// The closed list.
    fn algorithm(&self) -> Option<Algorithm> {
        match self.alg.as_str() {
            "RS256" => Some(Algorithm::RS256),
            "PS256" => Some(Algorithm::PS256),
            "ES256" => Some(Algorithm::ES256),
            "EdDSA" => Some(Algorithm::EdDSA),
            _ => None,
        }
    }
}

/// A part of a token, unverified: to find out whom to ask about it.
pub(super) fn part<T: DeserializeOwned>(token: &str, at: usize) -> Option<T> {
    if token.len() > LONGEST || token.split('.').count() != 3 {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(at)?).ok()?).ok()
}

struct Key {
    id: Option<String>,
    /// What it may verify.
    algorithms: Vec<Algorithm>,
    decoding: DecodingKey,
}

/// An issuer's keys that sign.
pub(super) struct KeySet(Vec<Key>);

impl KeySet {
    /// Reads a JWK set (RFC 7517). Keys that are of no use here are passed over; `None`: it is no such set.
    pub(super) fn read(mut document: Value) -> Option<Self> {
        let Some(Value::Array(keys)) = document.get_mut("keys").map(Value::take) else { return None };
        Some(Self(keys.into_iter().take(MOST_KEYS).filter_map(Key::read).collect()))
    }

    /// Whether there is a key of this name; without a name: any at all.
    pub(super) fn has(&self, name: Option<&str>) -> bool {
        self.0.iter().any(|key| name.is_none() || key.id.as_deref() == name)
    }

    /// What the token says, if one of these keys has signed it. Nothing of what it says has been judged.
    pub(super) fn verify<T: DeserializeOwned>(&self, header: &Header, token: &str) -> Option<T> {
        let algorithm = header.algorithm()?;
        let mut fitting = self.0.iter().filter(|key| key.algorithms.contains(&algorithm)).filter(|key| match &header.kid {
            Some(name) => key.id.as_ref() == Some(name),
            None => true,
        });
        let key = fitting.next()?;
        // OpenID Connect Core §10.1: where there are several, a token must say which
        if fitting.next().is_some() {
            return None;
        }
        let mut validation = Validation::new(algorithm);
        // the caller looks at the claims, by a clock that it knows
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        jsonwebtoken::decode::<T>(token, &key.decoding, &validation).ok().map(|verified| verified.claims)
    }
}

impl Key {
    fn read(key: Value) -> Option<Self> {
        let named: Option<String> = key.get("alg").and_then(Value::as_str).map(str::to_owned);
        let jwk: Jwk = serde_json::from_value(key).ok()?;
        let is_for_signatures = jwk.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
        let verifies = jwk.common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let by_kind = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => vec![Algorithm::RS256, Algorithm::PS256],
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => vec![Algorithm::ES256],
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => vec![Algorithm::EdDSA],
            _ => return None,
        };
        let algorithms: Vec<_> = match named.as_deref() {
            None => by_kind,
            // RFC 9864 names the curve
            Some("Ed25519") => by_kind.into_iter().filter(|algorithm| *algorithm == Algorithm::EdDSA).collect(),
            Some(name) => by_kind.into_iter().filter(|algorithm| format!("{algorithm:?}") == name).collect(),
        };
        let decoding = DecodingKey::from_jwk(&jwk).ok()?;
        (is_for_signatures && verifies && !algorithms.is_empty()).then_some(Self { id: jwk.common.key_id, algorithms, decoding })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::keyring::signing::{Algorithm as Ours, SigningKey};
    use serde_json::json;

    fn verifies(key: &SigningKey, published: &Value) -> bool {
        let token = key.sign("JWT", &json!({ "sub": "ada" })).unwrap();
        let keys = KeySet::read(json!({ "keys": published })).unwrap();
        keys.verify::<Value>(&Header::of(&token).unwrap(), &token).is_some()
    }

    #[test]
    fn a_key_verifies_what_it_was_published_for() {
        for algorithm in Ours::ALL {
            let key = SigningKey::from_der(algorithm, &algorithm.generate().unwrap()).unwrap();
            let jwk = serde_json::to_value(key.jwk()).unwrap();
            let with = |name: &str, value: Value| {
                let mut jwk = jwk.clone();
                jwk[name] = value;
                jwk
            };
            let without = |name: &str| {
                let mut jwk = jwk.clone();
                jwk.as_object_mut().unwrap().remove(name);
                jwk
            };
            for fine in [json!([jwk]), json!([without("alg")]), json!([without("use")]), json!([{ "kty": "of the future" }, 7, jwk])] {
                assert!(verifies(&key, &fine), "{algorithm:?}: {fine}");
            }
            for useless in [
                json!([]),
                json!([with("use", json!("enc"))]),
                json!([with("alg", json!("HS256"))]),
                json!([with("alg", json!("RS512"))]),
                json!([with("kid", json!("another"))]),
                json!([with("key_ops", json!(["encrypt"]))]),
                json!([with("kty", json!("oct"))]),
                json!([{ "kty": "oct", "k": "AAAA", "kid": key.id() }]),
                // which of the two?
                json!([jwk, jwk]),
            ] {
                assert!(!verifies(&key, &useless), "{algorithm:?}: {useless}");
            }
        }
    }

    #[test]
    fn without_a_name_the_only_key_that_fits_is_meant() {
        let [first, second] = [Ours::Es256, Ours::EdDsa].map(|algorithm| SigningKey::from_der(algorithm, &algorithm.generate().unwrap()).unwrap());
        let keys = KeySet::read(json!({ "keys": [first.jwk(), second.jwk()] })).unwrap();
        let token = first.sign("JWT", &json!({})).unwrap();
        let header = Header { kid: None, ..Header::of(&token).unwrap() };
        assert!(keys.verify::<Value>(&header, &token).is_some());
        assert!(KeySet::read(json!([])).is_none() && KeySet::read(json!({ "keys": {} })).is_none());
    }
}
