//! AWS Secrets Manager, asked as AWS's own tools are set up: region, credentials and endpoint come from their variables, their files, or the
//! machine's role. The current version of a secret is read, all of it or one key of its JSON object.
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>.
//! Practice 9.env-or-manager. Tests: `tests/interop/secrets_manager.rs`.

use super::{Fault, PATIENCE, field::Fields};
use crate::platform::{outbound::address, telemetry::causes};
use aws_config::{BehaviorVersion, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_secretsmanager::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
};

/// Codes that say that it may go well later.
const AWAY: [&str; 4] = ["InternalServiceError", "ThrottlingException", "RequestTimeout", "ServiceUnavailable"];

/// Secrets Manager, with credentials that its library keeps fresh.
pub(super) struct Aws(Client);

impl Aws {
    /// A secret; the first one opens the manager.
    pub(super) async fn read(known: &mut Option<Self>, id: &str) -> Result<Fields, Fault> {
        let Self(client) = match known {
            Some(known) => known,
            None => known.insert(Self::open().await?),
        };
        let answer = client.get_secret_value().secret_id(id).send().await.map_err(fault)?;
        answer.secret_string.map(|text| Fields::Text(text.into())).ok_or_else(|| Fault::Refused("the secret in AWS is no text".to_owned()))
    }

    async fn open() -> Result<Self, Fault> {
        let patience = TimeoutConfig::builder().operation_timeout(PATIENCE).build();
        // whoever waits does so by its own rules
        let config = aws_config::defaults(BehaviorVersion::latest()).timeout_config(patience).retry_config(RetryConfig::disabled()).load().await;
        let own = std::env::var("AWS_ENDPOINT_URL_SECRETS_MANAGER").ok();
        if [own.as_deref(), config.endpoint_url()].into_iter().flatten().any(|url| address(url, true).is_err()) {
            return Err(Fault::Refused("the endpoint of AWS is no https:// address".to_owned()));
        }
        Ok(Self(Client::new(&config)))
    }
}

fn fault<E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static, R: std::fmt::Debug + Send + Sync + 'static>(
    error: SdkError<E, R>,
) -> Fault {
    match error.code() {
        Some(code) if AWAY.contains(&code) => Fault::Away(format!("AWS cannot answer now ({code})")),
        Some(code) => Fault::Refused(format!("AWS refuses it ({code})")),
        None => Fault::Away(format!("AWS cannot be asked: {}", causes(&error.into()))),
    }
}
