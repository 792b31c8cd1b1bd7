//! Access tokens that somebody else made: an issuer that an operator has named, for the audience that they have named. Verified like any
//! token, by the issuer's published keys; they say who somebody is there, never what they may do here.
//! Practice 1.third-party. Attacks: `tests/suite/attacks/s10_access_control/foreign_tokens.rs`.

use crate::{
    accounts::Email,
    credentials::federation::{
        Federation, FederationError, Identified, Source, Trust,
        discovery::Issuer,
        id_token::{Claims, LEEWAY},
        jwks::{self, Header},
        openid,
    },
    platform::crypto,
};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use time::OffsetDateTime;
use uuid::Uuid;

/// An issuer whose access tokens are taken.
#[derive(Debug, Clone)]
pub struct TokenIssuer {
    /// `iss`, exactly.
    pub issuer: String,
    /// `aud` must have this in it.
    pub audience: String,
    /// Whether somebody who is new gets an account.
    pub provision: bool,
    /// Whether its word on a second factor is taken.
    pub second_factor: bool,
}

pub(super) struct Issuing {
    source: Arc<Source>,
    settings: TokenIssuer,
    issuer: Issuer,
}

impl Issuing {
    pub(super) fn new(source: Arc<Source>, settings: TokenIssuer) -> Self {
        Self { source, issuer: Issuer::new(settings.issuer.clone()), settings }
    }
}

/// A verified token of somebody else.
pub struct OutsideToken {
    /// Whom it is about. Its address is there only if the issuer has verified it.
    pub identified: Identified,
    /// Names what it belongs to: the same for the same token, and no session of ours.
    pub session: Uuid,
    /// 2: a second factor was used there, and the issuer is believed.
    pub assurance: i16,
    /// Whether somebody who is new gets an account.
    pub provision: bool,
}

#[derive(Deserialize)]
struct Unverified {
    iss: String,
}

impl Federation {
    /// Whose token it says it is, where that is one of the issuers. Nothing of it is verified.
    #[must_use]
    pub fn claims_to_be_from(&self, token: &str) -> bool {
        // ours, which are nearly all, are not even parsed where there is no issuer
        !self.0.outside.is_empty() && self.issuing(token).is_some()
    }

    fn issuing(&self, token: &str) -> Option<&Issuing> {
        let Unverified { iss } = jwks::part(token, 1)?;
        self.0.outside.iter().find(|issuing| issuing.settings.issuer == iss)
    }

    /// Verifies a token of one of the issuers.
    ///
    /// # Errors
    /// [`FederationError`]; away: its keys are not known.
    pub async fn verify_outside(&self, token: &str, now: OffsetDateTime) -> Result<OutsideToken, FederationError> {
        let issuing = self.issuing(token).ok_or(FederationError::Refused("iss"))?;
        let header = Header::of(token).ok_or(FederationError::Refused("header"))?;
        let typ = header.typ.as_deref().map(|typ| typ.to_ascii_lowercase().trim_start_matches("application/").to_owned());
        if !matches!(typ.as_deref(), None | Some("jwt" | "at+jwt")) {
            return Err(FederationError::Refused("typ"));
        }
        let keys = issuing.issuer.keys(&issuing.source, now, header.kid.as_deref()).await?;
        let claims: Claims = keys.verify(&header, token).ok_or(FederationError::Refused("signature"))?;
        judge(&claims, &issuing.settings, typ.as_deref() == Some("at+jwt"), now).map_err(FederationError::Refused)?;
        Ok(read(claims, &issuing.settings, now))
    }
}

fn judge(claims: &Claims, settings: &TokenIssuer, is_typed: bool, now: OffsetDateTime) -> Result<(), &'static str> {
    if claims.iss != settings.issuer {
        return Err("iss");
    }
    if !claims.is_for(&settings.audience).0 {
        return Err("aud");
    }
    if !claims.is_in_time(now) {
        return Err("time");
    }
    // an ID token says who somebody is to the page that asked; it opens nothing
    if !is_typed && (claims.nonce.is_some() || claims.at_hash.is_some()) {
        return Err("typ");
    }
    if claims.auth_time.is_some_and(|at| at > now + LEEWAY) {
        return Err("auth_time");
    }
    claims.subject().map(drop).ok_or("sub")
}

fn read(claims: Claims, settings: &TokenIssuer, now: OffsetDateTime) -> OutsideToken {
    let used_another = claims.amr.as_ref().and_then(Value::as_array).is_some_and(|methods| methods.iter().any(|method| method == "mfa"));
    let token = claims.jti.as_ref().and_then(Value::as_str).map_or_else(String::new, str::to_owned);
    let digest = crypto::mac(&[0; 32], &[b"outside token", claims.iss.as_bytes(), claims.sub.as_bytes(), token.as_bytes()]);
    let [mut id, _] = [0, 16].map(|at| std::array::from_fn::<u8, 16, _>(|offset| digest[at + offset]));
    // marked as made from something (RFC 9562 §5.8), so that it meets no id of a session
    id[6] = (id[6] & 0x0f) | 0x80;
    id[8] = (id[8] & 0x3f) | 0x80;
    let email: Option<Email> = openid::trusted_email(&claims.profile, Trust::Verified);
    OutsideToken {
        session: Uuid::from_bytes(id),
        assurance: if settings.second_factor && used_another { 2 } else { 1 },
        provision: settings.provision,
        identified: Identified {
            email,
            name: claims.profile.name.as_ref().and_then(Value::as_str).map(str::to_owned),
            proven_at: claims.auth_time.map(|at| at.min(now)),
            issuer: claims.iss,
            subject: claims.sub,
        },
    }
}
