//! Access tokens: JWTs for OAuth 2.0 (RFC 9068), good for minutes and verified without a query. Everything about a token that can be
//! wrong is looked at here, one thing after the other; a token is ours whole or not at all.
//! Practices 2.jwt-signing, 2.jwt-claims, 2.short-expiry. Attacks: `tests/suite/attacks/s02_credentials/forged_tokens.rs`.

use crate::{
    access::{Principal, Transport},
    platform::{
        crypto,
        keyring::{
            Keyring, KeyringError, LONGEST_TOKEN_LIFE,
            signing::{SigningError, key_id},
        },
    },
};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// How far clocks of nodes may be apart.
pub const LEEWAY: Duration = Duration::seconds(5);

/// No token of ours is longer, in bytes; longer ones are not even parsed.
const LONGEST: usize = 4096;

/// The media type in the header (RFC 9068 §2.1): no other token of ours, and no ID token, passes for an access token.
const TYPE: &str = "at+jwt";

/// RFC 9068 §2.2 wants the client's name. The only ones are the service's own.
const CLIENT: &str = "first-party";

/// Who makes tokens, and for whom.
#[derive(Debug, Clone)]
pub struct Parties {
    /// `iss`: the public URL, so that a token of another environment is not ours.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
}

/// What a token says (RFC 9068 §2.2, RFC 8176, RFC 9470; `sid` and `authz_version` are ours).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    iss: String,
    sub: Uuid,
    aud: String,
    client_id: String,
    exp: i64,
    nbf: i64,
    iat: i64,
    jti: Uuid,
    sid: Uuid,
    auth_time: i64,
    acr: String,
    amr: Vec<String>,
    /// Names of permissions, separated by spaces.
    scope: String,
    authz_version: i32,
}

/// What a token is to say.
pub struct Subject {
    /// Who, how proven, in which session.
    pub principal: Principal,
    /// How the person proved who they are (RFC 8176).
    pub amr: Vec<String>,
    /// What they may do.
    pub scope: Vec<String>,
    /// Which version of their authority that is.
    pub authz_version: i32,
    /// The token must end by then.
    pub until: OffsetDateTime,
}

/// A verified token.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Who it speaks for.
    pub principal: Principal,
    /// What they might do when it was made.
    pub scope: String,
    /// Which version of their authority that was.
    pub authz_version: i32,
}

/// Why no token was made: our own fault.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// No key.
    #[error(transparent)]
    Key(#[from] KeyringError),
    /// The library refused.
    #[error(transparent)]
    Sign(#[from] SigningError),
}

/// A token and the seconds that it lives.
///
/// # Errors
/// [`TokenError`].
pub fn issue(keyring: &Keyring, parties: &Parties, subject: Subject, life: Duration, now: OffsetDateTime) -> Result<(String, i64), TokenError> {
    let Subject { principal, amr, scope, authz_version, until } = subject;
    let iat = now.unix_timestamp();
    let exp = (now + life.min(LONGEST_TOKEN_LIFE)).min(until).unix_timestamp();
    let claims = Claims {
        iss: parties.issuer.clone(),
        sub: principal.account,
        aud: parties.audience.clone(),
        client_id: CLIENT.to_owned(),
        exp,
        nbf: iat,
        iat,
        jti: crypto::uuid_v7(now),
        sid: principal.session,
        auth_time: principal.authenticated_at.unix_timestamp(),
        acr: format!("aal{}", principal.assurance),
        amr,
        scope: scope.join(" "),
        authz_version,
    };
    Ok((keyring.signing_key()?.sign(TYPE, &claims)?, exp - iat))
}

/// The name of the key that signed a token, if it looks like one of ours at all.
#[must_use]
pub fn signed_by(token: &str) -> Option<String> {
    if token.len() > LONGEST { None } else { key_id(token) }
}

/// Reads a token. Whether its session still lives is another question: [`crate::sessions::revocation`].
#[must_use]
pub fn verify(keyring: &Keyring, parties: &Parties, token: &str, now: OffsetDateTime) -> Option<Verified> {
    // the key that it names must be one of ours and accepted now; the key, not the token, says which algorithm
    let key = keyring.verifying_key(&signed_by(token)?, now)?;
    let claims: Claims = key.verify(TYPE, token)?;
    let at = |seconds: i64| OffsetDateTime::from_unix_timestamp(seconds).ok();
    let (exp, nbf, iat) = (at(claims.exp)?, at(claims.nbf)?, at(claims.iat)?);
    let is_ours = claims.iss == parties.issuer && claims.aud == parties.audience && claims.client_id == CLIENT;
    // a token from the future, or one that lives longer than any, was not made by this service in good health
    let is_in_time = now < exp + LEEWAY && nbf <= now + LEEWAY && iat <= now + LEEWAY && iat < exp && exp - iat <= LONGEST_TOKEN_LIFE;
    let assurance = match claims.acr.as_str() {
        "aal1" => 1,
        "aal2" => 2,
        _ => return None,
    };
    let principal =
        Principal { account: claims.sub, session: claims.sid, transport: Transport::Token, assurance, authenticated_at: at(claims.auth_time)? };
    (is_ours && is_in_time).then_some(Verified { principal, scope: claims.scope, authz_version: claims.authz_version })
}
