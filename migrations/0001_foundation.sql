-- The run-time role and the tables that every room stands on.
-- Forward-only. Each migration grants the run-time role exactly what the service does with a table.

-- The service acts as this role and owns nothing: it cannot change its own schema (practice 9.least-privilege).
-- Roles belong to the whole cluster, so another database may have made it already.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'portcullis_runtime') THEN
        CREATE ROLE portcullis_runtime NOLOGIN;
        -- lets a database with one login only (DATABASE_URL in development) act as the run-time role
        EXECUTE format('GRANT portcullis_runtime TO %I', current_user);
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL; -- made in the same moment by a migration of another database
END $$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO portcullis_runtime;
GRANT SELECT ON _sqlx_migrations TO portcullis_runtime;

-- Keys by purpose and version, sealed under the key-encryption key, which is never in the database.
CREATE TABLE keyring (
    purpose text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    state text NOT NULL CHECK (state IN ('next', 'active', 'retired', 'revoked')),
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (purpose, version)
);
CREATE UNIQUE INDEX keyring_one_active ON keyring (purpose) WHERE state = 'active';
GRANT SELECT, INSERT ON keyring TO portcullis_runtime;

-- Letters to be sent, sealed. A row is deleted once its letter is out.
CREATE TABLE outbox (
    id uuid PRIMARY KEY,
    sealed bytea NOT NULL,
    key_version integer NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL
);
CREATE INDEX outbox_due ON outbox (due_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON outbox TO portcullis_runtime;

-- Exact counters of the sensitive quotas. Unlogged: losing them in a crash of Postgres forgives some attempts, and writing
-- them must not cost a flush to disk.
CREATE UNLOGGED TABLE quota_counters (
    quota text NOT NULL,
    subject bytea NOT NULL,
    used integer NOT NULL,
    window_ends_at timestamptz NOT NULL,
    PRIMARY KEY (quota, subject)
);
CREATE INDEX quota_counters_expired ON quota_counters (window_ends_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON quota_counters TO portcullis_runtime;
