//! Keys that sign. Each is bound to one algorithm from its first day, and is named by what it is (RFC 7638), so that neither the
//! header of a token nor a name that two installations share can choose another.
//! Practices 2.jwt-signing, 2.jwt-claims. Attacks: `tests/suite/attacks/s02_credentials/forged_tokens.rs`.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use jsonwebtoken::{
    DecodingKey, EncodingKey, Header, Validation,
    jwk::{Jwk, PublicKeyUse, ThumbprintHash},
};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt;
use zeroize::Zeroizing;

/// How tokens are signed (RFC 7518, RFC 8037). Asymmetric only: whoever verifies cannot sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519: small, fast, nothing to get wrong.
    EdDsa,
    /// ECDSA on P-256.
    Es256,
    /// RSA of 3072 bits, for verifiers that know nothing else.
    Rs256,
}

/// What ever goes wrong here is our own fault: a library refused.
#[derive(Debug, thiserror::Error)]
#[error("a signing key cannot be made or used: {0}")]
pub struct SigningError(&'static str);

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::EdDsa, Self::Es256, Self::Rs256];

    /// The registered name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    /// The algorithm of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// A fresh private key in DER, as [`SigningKey::from_der`] takes it. RSA takes up to seconds: not on a server thread.
    ///
    /// # Errors
    /// [`SigningError`].
    pub fn generate(self) -> Result<Zeroizing<Vec<u8>>, SigningError> {
        const REFUSED: SigningError = SigningError("the library made none");
        let random = SystemRandom::new();
        let der = match self {
            Self::EdDsa => Ed25519KeyPair::generate_pkcs8v1(&random).map_err(|_| REFUSED)?.as_ref().to_vec(),
            Self::Es256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(|_| REFUSED)?.as_ref().to_vec(),
            Self::Rs256 => {
                let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa3072).map_err(|_| REFUSED)?;
                let wrapped: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| REFUSED)?;
                rsa_private_key(wrapped.as_ref()).ok_or(REFUSED)?.to_vec()
            }
        };
        Ok(Zeroizing::new(der))
    }

    fn jwt(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
        }
    }
}

/// The `RSAPrivateKey` (RFC 8017) inside a PKCS#8 envelope (RFC 5208), which the token library wants without it.
fn rsa_private_key(pkcs8: &[u8]) -> Option<&[u8]> {
    // SEQUENCE, version 0, rsaEncryption, OCTET STRING; both lengths take two bytes at this size
    const VERSION_AND_ALGORITHM: [u8; 18] = [2, 1, 0, 0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    let rest = pkcs8.strip_prefix(&[0x30, 0x82])?.get(2..)?.strip_prefix(&VERSION_AND_ALGORITHM)?.strip_prefix(&[4, 0x82])?;
    let (length, key) = rest.split_first_chunk::<2>()?;
    (usize::from(u16::from_be_bytes(*length)) == key.len()).then_some(key)
}

/// A private key with everything that is derived from it.
pub struct SigningKey {
    algorithm: Algorithm,
    id: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
    jwk: Jwk,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.algorithm.name(), self.id)
    }
}

impl SigningKey {
    /// Reads what [`Algorithm::generate`] made.
    ///
    /// # Errors
    /// [`SigningError`] when it is another kind of key.
    pub fn from_der(algorithm: Algorithm, der: &[u8]) -> Result<Self, SigningError> {
        let encoding = match algorithm {
            Algorithm::EdDsa => EncodingKey::from_ed_der(der),
            Algorithm::Es256 => EncodingKey::from_ec_der(der),
            Algorithm::Rs256 => EncodingKey::from_rsa_der(der),
        };
        let refused = |_| SigningError("it is no key of its algorithm");
        let mut jwk = Jwk::from_encoding_key(&encoding, algorithm.jwt()).map_err(refused)?;
        let id = jwk.thumbprint(ThumbprintHash::SHA256).map_err(refused)?;
        jwk.common.key_id = Some(id.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let decoding = DecodingKey::from_jwk(&jwk).map_err(refused)?;
        Ok(Self { algorithm, id, encoding, decoding, jwk })
    }

    /// Its name: the thumbprint of the public key (RFC 7638).
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public half (RFC 7517).
    #[must_use]
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// The whole header of a token of this type. One with anything else in it (`jwk`, `jku`, `x5u`, `crit` …) is not ours.
    #[must_use]
    pub fn header(&self, typ: &str) -> Header {
        Header { typ: Some(typ.to_owned()), kid: Some(self.id.clone()), ..Header::new(self.algorithm.jwt()) }
    }

    /// A signed token.
    ///
    /// # Errors
    /// [`SigningError`] when the library refuses.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, SigningError> {
        jsonwebtoken::encode(&self.header(typ), claims, &self.encoding).map_err(|_| SigningError("the library did not sign"))
    }

    /// The claims of a token that this key signed, with exactly our header. Says nothing about what the claims say.
    #[must_use]
    pub fn verify<T: DeserializeOwned>(&self, typ: &str, token: &str) -> Option<T> {
        let mut validation = Validation::new(self.algorithm.jwt());
        // the caller looks at the claims, by a clock that it knows
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let verified = jsonwebtoken::decode::<T>(token, &self.decoding, &validation).ok()?;
        (verified.header == self.header(typ)).then_some(verified.claims)
    }
}

/// The key that a token names. Nothing else of an unverified header is believed, and this only chooses among our own keys.
#[must_use]
pub fn key_id(token: &str) -> Option<String> {
    jsonwebtoken::decode_header(token).ok()?.kid
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn every_algorithm_makes_keys_that_verify_their_own_tokens_only() {
        let keys: Vec<SigningKey> = Algorithm::ALL
            .into_iter()
            .chain([Algorithm::EdDsa])
            .map(|algorithm| SigningKey::from_der(algorithm, &algorithm.generate().unwrap()).unwrap())
            .collect();
        for signer in &keys {
            let token = signer.sign("at+jwt", &json!({ "sub": "ada" })).unwrap();
            assert_eq!(key_id(&token).as_deref(), Some(signer.id()));
            for verifier in &keys {
                let claims: Option<Value> = verifier.verify("at+jwt", &token);
                assert_eq!(claims.is_some(), signer.id() == verifier.id(), "{signer:?} {verifier:?}");
            }
            assert!(signer.verify::<Value>("JWT", &token).is_none(), "another type");
            let public = serde_json::to_string(signer.jwk()).unwrap();
            assert!(!public.contains("\"d\""), "{public}");
        }
    }
}
