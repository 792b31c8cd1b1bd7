//! Signing in by GitHub, which speaks OAuth 2.0 and not OpenID Connect: who somebody is comes from its API, asked with the access token
//! that the code was just exchanged for. The number is the subject, because names there change hands.
//! Practice 1.oauth-oidc. Attacks: `tests/suite/attacks/s10_access_control/unverified_email_linking.rs`.

use crate::{
    accounts::Email,
    credentials::federation::{Answered, Attempt, FederationError, GITHUB, GitHubAddresses, Identified, Provider, Trust, openid},
    platform::outbound::{Credentials, Fault},
};
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

/// GitHub.
pub(super) struct GitHub {
    pub addresses: GitHubAddresses,
}

/// A refusal has status 200 there, and no token.
#[derive(Deserialize)]
struct Exchanged {
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct User {
    id: u64,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Address {
    email: String,
    primary: bool,
    verified: bool,
}

impl GitHub {
    pub(super) fn authorization_url(&self) -> Url {
        let mut url = self.addresses.authorization.clone();
        url.query_pairs_mut().append_pair("scope", "read:user user:email").append_pair("allow_signup", "false");
        url
    }

    pub(super) async fn identify(&self, provider: &Provider, attempt: &Attempt, answered: &Answered) -> Result<Identified, FederationError> {
        if answered.issuer.as_ref().is_some_and(|issuer| issuer != "https://github.com/login/oauth") {
            return Err(FederationError::Refused("iss"));
        }
        let exchanged: Exchanged = openid::exchange(provider, &self.addresses.token, true, attempt, answered).await?;
        let token = exchanged.access_token.ok_or(FederationError::Refused("code"))?;
        let user: User = ask(provider, &self.addresses.user, &token).await?;
        if user.id == 0 {
            return Err(FederationError::Refused("sub"));
        }
        let emails: Vec<Address> = ask(provider, &self.addresses.emails, &token).await?;
        let primary = emails.into_iter().find(|address| address.primary && address.verified && provider.settings.trust != Trust::Never);
        Ok(Identified {
            issuer: GITHUB.into(),
            subject: user.id.to_string(),
            email: primary.and_then(|address| Email::parse(&address.email).ok()),
            name: user.name,
            // it does not say
            proven_at: None,
        })
    }
}

async fn ask<T: DeserializeOwned>(provider: &Provider, url: &Url, token: &str) -> Result<T, FederationError> {
    let answer = provider.source.web.get(url, Credentials::Bearer(token)).await;
    answer.map_err(|fault| match fault {
        Fault::Refused(..) => FederationError::Refused("access"),
        other => FederationError::away(other),
    })
}
