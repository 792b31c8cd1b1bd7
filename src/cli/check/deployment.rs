//! What there is in a database, read as the service's role. Practices 9.least-privilege, 16.checklist.
//! Tests: `tests/suite/contract/check.rs`, `tests/suite/contract/production.rs`.

use super::facts::{Chain, Deployed, Sealing};
use crate::{
    access::{self, role},
    audit::chain,
    platform::{
        clock::Clock,
        db::{self, StoreError},
        keyring::{KeyEncryption, Keyring, KeyringError, store},
    },
    settings::Settings,
};
use sqlx::{PgPool, postgres::PgConnectOptions};
use std::{fmt::Display, time::Duration};

/// A database that takes longer to answer everything is not looked at further.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn look(service: &PgConnectOptions, settings: Option<&Settings>, clock: &Clock) -> Result<Deployed, String> {
    let inspected = db::inspect(service, clock).await?;
    let pool = db::pool(service.clone(), 1);
    let deployed = tokio::time::timeout(PATIENCE, read(&pool, inspected, settings)).await;
    pool.close().await;
    deployed.map_err(|_| "takes longer than 20 seconds to answer".into())
}

async fn read(pool: &PgPool, inspected: db::Inspected, settings: Option<&Settings>) -> Deployed {
    let key_encryption =
        settings.and_then(|settings| Some(KeyEncryption::new(settings.key_encryption_key.clone()?, settings.previous_key_encryption_key.clone())));
    let (sealing, keyring) = match key_encryption {
        None => (Sealing::Unknown("the key-encryption key cannot be read".into()), None),
        Some(key) => match Keyring::peek(pool, key).await {
            Ok(keyring) => (Sealing::Opens, Some(keyring)),
            Err(error @ KeyringError::WrongKeyEncryptionKey { .. }) => (Sealing::Wrong(error.to_string()), None),
            Err(error) => (Sealing::Unknown(error.to_string()), None),
        },
    };
    Deployed {
        inspected,
        sealing,
        keys: asked(pool, async |connection| store::list(connection).await).await,
        administrators: asked(pool, async |connection| role::administrators(connection).await).await,
        roles: asked(pool, async |connection| access::store::roles(connection).await).await,
        chain: match keyring {
            None => Err("without the keys nobody can tell whose the heads of the audit chain are".into()),
            Some(keyring) => asked(pool, async |connection| end_of_chain(connection, &keyring).await).await,
        },
    }
}

async fn end_of_chain(connection: &mut sqlx::PgConnection, keyring: &Keyring) -> Result<Chain, StoreError> {
    let chain::Backlog { waiting, oldest } = chain::backlog(connection).await?;
    match chain::end_that_we_signed(connection, keyring).await {
        Ok(head) => Ok(Chain { end: head.seq, broken: None, waiting, oldest }),
        Err(error @ StoreError::Altered(_)) => Ok(Chain { end: 0, broken: Some(error.to_string()), waiting, oldest }),
        Err(error) => Err(error),
    }
}

async fn asked<T, E: From<sqlx::Error> + Display>(
    pool: &PgPool,
    question: impl AsyncFnOnce(&mut sqlx::PgConnection) -> Result<T, E>,
) -> Result<T, String> {
    let answer = async { question(&mut *pool.acquire().await.map_err(E::from)?).await };
    answer.await.map_err(|error| format!("the database does not say: {error}"))
}
