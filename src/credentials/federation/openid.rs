//! Signing in by OpenID Connect (Core 1.0): authorization code with PKCE, state and nonce; whoever answers must be who was asked
//! (RFC 9207); the ID token is verified even though it comes by TLS.
//! Practice 1.oauth-oidc. Attacks: `tests/suite/attacks/s10_access_control/forged_callback.rs`,
//! `tests/suite/attacks/s10_access_control/forged_id_token.rs`.

use crate::{
    accounts::Email,
    credentials::federation::{
        Answered, Attempt, FederationError, Identified, Provider, Source, Trust,
        discovery::Issuer,
        id_token::{self, Claims, Expected, Profile},
        jwks::Header,
    },
    platform::outbound::{Credentials, Fault},
};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use url::{Url, form_urlencoded};

/// A provider with an issuer.
pub(super) struct OpenId {
    pub issuer: Issuer,
}

/// What a code is exchanged for.
#[derive(Deserialize)]
struct Exchanged {
    id_token: String,
    access_token: Option<String>,
}

/// Who somebody is, where the ID token leaves that to this answer (OpenID Connect Core §5.3).
#[derive(Deserialize)]
struct UserInfo {
    sub: String,
    #[serde(flatten)]
    profile: Profile,
}

impl OpenId {
    pub(super) async fn authorization_url(&self, source: &Source, attempt: &Attempt, now: OffsetDateTime) -> Result<Url, FederationError> {
        let metadata = self.issuer.metadata(source, now).await?;
        let mut url = metadata.authorization.clone().ok_or_else(|| FederationError::useless("it has no place to send people to"))?;
        let mut query = url.query_pairs_mut();
        query.append_pair("scope", "openid email profile").append_pair("nonce", &attempt.nonce);
        if attempt.proven_since.is_some() {
            query.append_pair("prompt", "login").append_pair("max_age", "0");
        }
        drop(query);
        Ok(url)
    }

    pub(super) async fn identify(
        &self,
        provider: &Provider,
        attempt: &Attempt,
        answered: &Answered,
        now: OffsetDateTime,
    ) -> Result<Identified, FederationError> {
        let metadata = self.issuer.metadata(&provider.source, now).await?;
        // before the code goes anywhere
        let is_asked_one = match &answered.issuer {
            Some(issuer) => *issuer == self.issuer.name,
            None => !metadata.names_itself,
        };
        if !is_asked_one {
            return Err(FederationError::Refused("iss"));
        }
        let token = metadata.token.clone().ok_or_else(|| FederationError::useless("it has no place to exchange codes"))?;
        let exchanged: Exchanged = exchange(provider, &token, metadata.secret_in_form, attempt, answered).await?;
        let claims = self.verify(provider, &exchanged.id_token, now).await?;
        let expected = Expected {
            issuer: &self.issuer.name,
            client: &provider.settings.client_id,
            nonce: &attempt.nonce,
            proven_since: attempt.proven_since.and_then(|since| OffsetDateTime::from_unix_timestamp(since).ok()),
            now,
        };
        id_token::judge(&claims, &expected).map_err(FederationError::Refused)?;
        let trust = provider.settings.trust;
        let profile = match (&metadata.user_info, exchanged.access_token) {
            (Some(url), Some(token)) if claims.profile.email.is_none() && trust != Trust::Never => {
                user_info(provider, url, &token, &claims.sub).await?
            }
            _ => claims.profile,
        };
        Ok(Identified {
            email: trusted_email(&profile, trust),
            name: profile.name.as_ref().and_then(Value::as_str).map(str::to_owned),
            proven_at: claims.auth_time.map(|at| at.min(now)),
            issuer: claims.iss,
            subject: claims.sub,
        })
    }

    async fn verify(&self, provider: &Provider, token: &str, now: OffsetDateTime) -> Result<Claims, FederationError> {
        let header = Header::of(token).ok_or(FederationError::Refused("header"))?;
        // an access token that fits by chance is no ID token
        if header.typ.as_ref().is_some_and(|typ| !typ.eq_ignore_ascii_case("jwt")) {
            return Err(FederationError::Refused("typ"));
        }
        let keys = self.issuer.keys(&provider.source, now, header.kid.as_deref()).await?;
        keys.verify(&header, token).ok_or(FederationError::Refused("signature"))
    }
}

async fn user_info(provider: &Provider, url: &Url, token: &str, subject: &str) -> Result<Profile, FederationError> {
    let answer: UserInfo = provider.source.web.get(url, Credentials::Bearer(token)).await.map_err(|fault| match fault {
        Fault::Refused(..) => FederationError::Refused("userinfo"),
        other => FederationError::away(other),
    })?;
    // OpenID Connect Core §5.3.2: of somebody else
    if answer.sub == subject { Ok(answer.profile) } else { Err(FederationError::Refused("userinfo")) }
}

/// Exchanges a code at this address.
pub(super) async fn exchange<T: for<'de> Deserialize<'de>>(
    provider: &Provider,
    token: &Url,
    secret_in_form: bool,
    attempt: &Attempt,
    answered: &Answered,
) -> Result<T, FederationError> {
    let (client, secret) = (provider.settings.client_id.as_str(), provider.settings.client_secret.expose_secret());
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", answered.code.expose_secret()),
        ("redirect_uri", provider.redirect.as_str()),
        ("code_verifier", attempt.verifier.as_str()),
    ];
    // RFC 6749 §2.3.1: written as in a form first
    let [user, password] = [client, secret].map(|text| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
    let credentials = if secret_in_form {
        form.extend([("client_id", client), ("client_secret", secret)]);
        Credentials::None
    } else {
        Credentials::Basic(&user, &password)
    };
    let answer = provider.source.web.post(token, &form, credentials).await;
    answer.map_err(|fault| match fault {
        Fault::Refused(_, body) => {
            let error = told(&body);
            tracing::warn!(provider = provider.name(), error, "a provider did not take a code");
            FederationError::Refused(error)
        }
        other => FederationError::away(other),
    })
}

/// The error that a refusal names, of those that there are (RFC 6749 §5.2); nothing else of it is shown or logged.
fn told(body: &[u8]) -> &'static str {
    const KNOWN: [&str; 6] = ["invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope"];
    let error = serde_json::from_slice::<Value>(body).ok().and_then(|body| Some(body.get("error")?.as_str()?.to_owned()));
    KNOWN.into_iter().find(|known| error.as_deref() == Some(known)).unwrap_or("code")
}

/// The person's address, where this provider's word is enough: verified, which is `true` and no text that says so.
pub(super) fn trusted_email(profile: &Profile, trust: Trust) -> Option<Email> {
    let is_verified = profile.email_verified == Some(Value::Bool(true));
    let email = profile.email.as_ref().and_then(Value::as_str).and_then(|email| Email::parse(email).ok())?;
    let is_trusted = match trust {
        Trust::Never => false,
        Trust::Verified => true,
        // https://developers.google.com/identity/sign-in/web/backend-auth: otherwise the mailbox may have changed hands since
        Trust::WhereItIsTheAuthority => {
            let is_of_an_organisation = profile.hd.as_ref().and_then(Value::as_str).is_some_and(|domain| !domain.is_empty());
            email.as_str().ends_with("@gmail.com") || is_of_an_organisation
        }
    };
    (is_verified && is_trusted).then_some(email)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn google_is_believed_about_mailboxes_that_it_runs() {
        let told = |profile: Value, trust| trusted_email(&serde_json::from_value(profile).unwrap(), trust).is_some();
        let google = Trust::WhereItIsTheAuthority;
        assert!(told(json!({ "email": "ada@gmail.com", "email_verified": true }), google));
        assert!(told(json!({ "email": "ada@example.org", "email_verified": true, "hd": "example.org" }), google));
        for profile in [
            json!({ "email": "ada@example.org", "email_verified": true }),
            json!({ "email": "ada@example.org", "email_verified": true, "hd": "" }),
            json!({ "email": "ada@notgmail.com", "email_verified": true }),
            json!({ "email": "ada@gmail.com", "email_verified": false }),
            json!({ "email": "ada@gmail.com" }),
        ] {
            assert!(!told(profile.clone(), google), "{profile}");
        }
        assert!(!told(json!({ "email": "ada@gmail.com", "email_verified": true }), Trust::Never));
    }
}
