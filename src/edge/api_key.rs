//! An API key becomes a [`Principal`], of the first assurance level for ever: a key shows no second factor and was proven by nobody a moment
//! ago. What it may do is bounded by its scopes, which the guard lays over what its account may do at this moment. Its caller is told the same
//! whatever is wrong with it; operators see in the metrics what it was.
//! Practices 9.least-privilege, 9.per-environment. Attacks: `tests/suite/attacks/s09_secrets/`.

use crate::{
    access::{Principal, Transport, permission::Permissions},
    credentials::api_key::{self, ApiKey, Refusal},
    edge::client_ip::ClientIp,
    error::{ApiError, ErrorCode},
    state::State,
};
use time::OffsetDateTime;

/// What the request's key was made for.
#[derive(Clone)]
pub(super) struct KeyScopes(pub Permissions);

/// Whom the key speaks for, and within what.
pub(super) async fn verify(state: &State, text: &str, client: ClientIp) -> Result<(Principal, KeyScopes), ApiError> {
    let key = ApiKey::parse(text, state.settings.environment.realm()).map_err(refused)?;
    let from = client.place(&state.settings.trusted_proxies);
    let verified = api_key::verify(&state.pool, &state.keyring, &state.keys_used, (&key, from), state.clock.now()).await?;
    let verified = verified.map_err(|reason| {
        if reason == Refusal::Network {
            tracing::warn!(key = %key.id(), "an API key came from outside its networks: it may have been leaked");
        }
        refused(reason)
    })?;
    let (account, session) = (verified.account, key.id());
    let principal = Principal { account, session, transport: Transport::Key, assurance: 1, authenticated_at: OffsetDateTime::UNIX_EPOCH };
    Ok((principal, KeyScopes(verified.scopes.into_iter().collect())))
}

fn refused(reason: Refusal) -> ApiError {
    metrics::counter!("portcullis_api_key_refusals_total", "reason" => reason.name()).increment(1);
    ApiError::new(ErrorCode::InvalidToken)
}
