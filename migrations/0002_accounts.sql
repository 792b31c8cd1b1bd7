-- Accounts, their passwords, registrations that wait for proof of the mailbox, and sessions.

-- An account begins when its mailbox is proven: there is no unverified row here.
CREATE TABLE users (
    id uuid PRIMARY KEY,
    email text NOT NULL CONSTRAINT users_email_unique UNIQUE
        CHECK (email = lower(email) AND octet_length(email) <= 254),
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON users TO portcullis_runtime;

CREATE TABLE passwords (
    user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    -- PHC string: algorithm, parameters, salt, hash
    phc text NOT NULL CHECK (phc LIKE '$argon2id$%'),
    -- which pepper of the keyring went into it
    pepper_version integer NOT NULL,
    updated_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON passwords TO portcullis_runtime;

-- One row a request to register, for known and unknown addresses alike (practice 2.no-plaintext: digests only).
CREATE TABLE registrations (
    id uuid PRIMARY KEY,
    email text NOT NULL,
    link_digest bytea NOT NULL UNIQUE CHECK (octet_length(link_digest) = 32),
    code_digest bytea NOT NULL CHECK (octet_length(code_digest) = 32),
    code_key_version integer NOT NULL,
    tries smallint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX registrations_email ON registrations (email);
CREATE INDEX registrations_expired ON registrations (expires_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON registrations TO portcullis_runtime;

-- What a proof buys. One row a sign-in, whatever its proof and transport.
CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    transport text NOT NULL CHECK (transport IN ('cookie', 'token')),
    assurance smallint NOT NULL CHECK (assurance IN (1, 2)),
    authenticated_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    idle_expires_at timestamptz NOT NULL,
    absolute_expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    -- the cookie's key is stored as its digest, the state sealed (practice 2.encrypted-sessions)
    key_digest bytea CONSTRAINT sessions_key_unique UNIQUE CHECK (octet_length(key_digest) = 32),
    state_sealed bytea,
    state_key_version integer,
    CHECK (idle_expires_at <= absolute_expires_at),
    CHECK ((key_digest IS NULL) = (state_sealed IS NULL) AND (state_sealed IS NULL) = (state_key_version IS NULL))
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expired ON sessions (absolute_expires_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO portcullis_runtime;
