//! The SQL of what hangs on keys.

use crate::platform::keyring::Purpose;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// A row as it lies there, and what it is bound to.
pub(super) struct Row {
    pub id: Uuid,
    pub version: i32,
    pub context: Vec<u8>,
    pub sealed: Vec<u8>,
}

/// Rows that were sealed anew, column by column.
#[derive(Default)]
pub(super) struct Anew {
    ids: Vec<Uuid>,
    before: Vec<Vec<u8>>,
    sealed: Vec<Vec<u8>>,
    versions: Vec<i32>,
}

impl Anew {
    pub fn push(&mut self, row: Row, version: i32, sealed: Vec<u8>) {
        self.ids.push(row.id);
        self.before.push(row.sealed);
        self.sealed.push(sealed);
        self.versions.push(version);
    }
}

/// Purpose: table, its id, the sealed column, the version column, and what the sealed value is bound to, as SQL.
macro_rules! sealed_rows {
    ($($purpose:ident: $table:literal, $id:literal, $sealed:literal, $version:literal, $context:literal;)*) => {
        /// Rows under one of these versions beyond this id.
        pub(super) async fn batch(
            connection: &mut PgConnection,
            purpose: Purpose,
            versions: &[i32],
            after: Uuid,
            limit: i64,
        ) -> Result<Vec<Row>, sqlx::Error> {
            match purpose {
                $(Purpose::$purpose => {
                    sqlx::query_as!(
                        Row,
                        "SELECT " + $id + r#" AS "id!", "# + $version + r#" AS "version!", "# + $context + r#" AS "context!", "# + $sealed
                            + r#" AS "sealed!" FROM "# + $table + " WHERE " + $id + " > $1 AND " + $version + " = ANY($2) ORDER BY " + $id
                            + " LIMIT $3",
                        after,
                        versions,
                        limit
                    )
                    .fetch_all(connection)
                    .await
                })*
                _ => Ok(Vec::new()),
            }
        }

        /// Writes rows that nobody has changed or holds. Returns how many.
        pub(super) async fn replace(connection: &mut PgConnection, purpose: Purpose, anew: &Anew) -> Result<u64, sqlx::Error> {
            let done = match purpose {
                $(Purpose::$purpose => {
                    sqlx::query!(
                        "WITH free AS (SELECT t." + $id + " AS id, n.sealed, n.version FROM " + $table
                            + " t JOIN unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::integer[]) n (id, before, sealed, version)
                                 ON t." + $id + " = n.id AND t." + $sealed + " = n.before FOR UPDATE OF t SKIP LOCKED)
                             UPDATE " + $table + " t SET " + $sealed + " = free.sealed, " + $version + " = free.version FROM free WHERE t."
                            + $id + " = free.id",
                        &anew.ids,
                        &anew.before,
                        &anew.sealed,
                        &anew.versions
                    )
                    .execute(connection)
                    .await?
                })*
                _ => return Ok(0),
            };
            Ok(done.rows_affected())
        }

        async fn count_sealed(connection: &mut PgConnection, purpose: Purpose) -> Result<Vec<(i32, i64)>, sqlx::Error> {
            match purpose {
                $(Purpose::$purpose => {
                    let rows = sqlx::query!(
                        "SELECT " + $version + r#" AS "version!", count(*) AS "count!" FROM "# + $table + " WHERE " + $version
                            + " IS NOT NULL GROUP BY 1"
                    );
                    Ok(rows.fetch_all(connection).await?.into_iter().map(|row| (row.version, row.count)).collect())
                })*
                _ => Ok(Vec::new()),
            }
        }

        async fn is_sealed_under(connection: &mut PgConnection, purpose: Purpose, version: i32) -> Result<bool, sqlx::Error> {
            match purpose {
                $(Purpose::$purpose => {
                    sqlx::query_scalar!("SELECT EXISTS (SELECT FROM " + $table + " WHERE " + $version + r#" = $1) AS "is!""#, version)
                        .fetch_one(connection)
                        .await
                })*
                // nobody knows of any: then it is not for us to end its key
                _ => Ok(true),
            }
        }
    };
}

sealed_rows! {
    SessionState: "sessions", "id", "state_sealed", "state_key_version", "key_digest";
    Outbox: "outbox", "id", "sealed", "key_version", "uuid_send(id)";
    Subject: "subject_keys", "subject", "sealed", "key_version", "uuid_send(subject)";
    Challenge: "challenges", "id", "state_sealed", "state_key_version", "uuid_send(id)";
    TotpSeed: "totp", "user_id", "seed_sealed", "seed_key_version", "uuid_send(user_id)";
    Passkey: "passkeys", "id", "sealed", "key_version", "uuid_send(id) || uuid_send(user_id)";
    WebhookSecret: "webhook_secrets", "id", "sealed", "key_version", "uuid_send(id)";
    WebhookInbox: "webhook_inbox", "id", "sealed", "key_version", "uuid_send(id)";
}

pub(super) async fn count(connection: &mut PgConnection, purpose: Purpose) -> Result<Vec<(i32, i64)>, sqlx::Error> {
    let rows = match purpose {
        Purpose::Pepper => {
            sqlx::query!(r#"SELECT pepper_version AS "version!", count(*) AS "count!" FROM passwords GROUP BY 1"#)
                .map(|row| (row.version, row.count))
                .fetch_all(connection)
                .await?
        }
        Purpose::Lookup => {
            sqlx::query!(
                r#"SELECT version AS "version!", count(*) AS "count!" FROM (
                   SELECT key_version FROM recovery_codes WHERE used_at IS NULL
                   UNION ALL SELECT code_key_version FROM mailed_proofs WHERE code_key_version IS NOT NULL AND used_at IS NULL) all_codes (version)
               GROUP BY 1"#
            )
            .map(|row| (row.version, row.count))
            .fetch_all(connection)
            .await?
        }
        Purpose::ApiKey => {
            sqlx::query!(r#"SELECT key_version AS "version!", count(*) AS "count!" FROM api_keys WHERE revoked_at IS NULL GROUP BY 1"#)
                .map(|row| (row.version, row.count))
                .fetch_all(connection)
                .await?
        }
        sealed => count_sealed(connection, sealed).await?,
    };
    Ok(rows)
}

/// Whether anything hangs on this version.
pub(super) async fn is_used(connection: &mut PgConnection, purpose: Purpose, version: i32) -> Result<bool, sqlx::Error> {
    match purpose {
        Purpose::Pepper => {
            sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM passwords WHERE pepper_version = $1) AS "is!""#, version).fetch_one(connection).await
        }
        Purpose::Lookup => {
            sqlx::query_scalar!(
                r#"SELECT EXISTS (SELECT FROM recovery_codes WHERE key_version = $1 AND used_at IS NULL)
                      OR EXISTS (SELECT FROM mailed_proofs WHERE code_key_version = $1 AND used_at IS NULL) AS "is!""#,
                version
            )
            .fetch_one(connection)
            .await
        }
        Purpose::ApiKey => {
            sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM api_keys WHERE key_version = $1 AND revoked_at IS NULL) AS "is!""#, version)
                .fetch_one(connection)
                .await
        }
        sealed => is_sealed_under(connection, sealed, version).await,
    }
}

/// Until the end of the transaction statements may take long.
pub(super) async fn allow_time(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT set_config('statement_timeout', '0', true) AS set").fetch_one(connection).await.map(drop)
}

/// Each looks at the versions that are revoked, so that what was made meanwhile with the new key stays.
pub(super) async fn clear_revoked(connection: &mut PgConnection, purpose: Purpose, now: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let name = purpose.name();
    let done = match purpose {
        Purpose::Pepper => {
            // as a reset does: a session that somebody left open must not be what the next password is set with
            let ended = sqlx::query!(
                "UPDATE sessions SET revoked_at = $2 WHERE revoked_at IS NULL AND absolute_expires_at > $2 AND user_id IN (SELECT user_id FROM passwords
                   WHERE pepper_version IN (SELECT version FROM keyring WHERE purpose = $1 AND state = 'revoked'))",
                name,
                now
            );
            let ended = ended.execute(&mut *connection).await?.rows_affected();
            let sql = sqlx::query!(
                "DELETE FROM passwords WHERE pepper_version IN (SELECT version FROM keyring WHERE purpose = $1 AND state = 'revoked')",
                name
            );
            return Ok(ended + sql.execute(connection).await?.rows_affected());
        }
        // which key a cookie was made with is not in the row: whoever was there then signs in again
        Purpose::SessionCookie | Purpose::SessionState | Purpose::RefreshToken => {
            let sql = sqlx::query!(
                "UPDATE sessions SET revoked_at = $2 WHERE transport = $3 AND revoked_at IS NULL AND absolute_expires_at > $2
                   AND started_at <= (SELECT max(changed_at) FROM keyring WHERE purpose = $1 AND state = 'revoked' AND NOT ended)",
                name,
                now,
                if purpose == Purpose::RefreshToken { "token" } else { "cookie" }
            );
            sql.execute(connection).await?
        }
        Purpose::Outbox => {
            let sql =
                sqlx::query!("DELETE FROM outbox WHERE key_version IN (SELECT version FROM keyring WHERE purpose = $1 AND state = 'revoked')", name);
            sql.execute(connection).await?
        }
        Purpose::Lookup => {
            let sql = sqlx::query!(
                "DELETE FROM recovery_codes WHERE key_version IN (SELECT version FROM keyring WHERE purpose = $1 AND state = 'revoked')",
                name
            );
            sql.execute(connection).await?
        }
        // of people whose key is gone: it is made anew with their next event
        Purpose::Subject => {
            let sql = sqlx::query!(
                "DELETE FROM exports e WHERE sealed IS NOT NULL AND requested_at <=
                     (SELECT max(changed_at) FROM keyring WHERE purpose = $1 AND state = 'revoked' AND NOT ended)",
                name
            );
            sql.execute(connection).await?
        }
        Purpose::ApiKey => {
            let sql = sqlx::query!(
                "UPDATE api_keys SET revoked_at = $2 WHERE revoked_at IS NULL
                   AND key_version IN (SELECT version FROM keyring WHERE purpose = $1 AND state = 'revoked')",
                name,
                now
            );
            sql.execute(connection).await?
        }
        // their ids stay spent
        Purpose::WebhookInbox => {
            let sql = sqlx::query!(
                "UPDATE webhook_inbox SET sealed = NULL, key_version = NULL, finished_at = coalesce(finished_at, $2),
                     state = CASE state WHEN 'waiting' THEN 'dead' ELSE state END
                 WHERE key_version IN (SELECT version FROM keyring WHERE purpose = $1 AND state = 'revoked')",
                name,
                now
            );
            sql.execute(connection).await?
        }
        Purpose::KnownDevice
        | Purpose::NobodysEvent
        | Purpose::TokenSigning
        | Purpose::Challenge
        | Purpose::TotpSeed
        | Purpose::Passkey
        | Purpose::Cursor
        | Purpose::WebhookSecret
        | Purpose::AuditChain => return Ok(0),
    };
    Ok(done.rows_affected())
}
