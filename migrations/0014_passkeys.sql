-- Passkeys: one row a credential, which verifies and opens nothing. What WebAuthn needs of it is sealed for its row, so that nobody who
-- can only write the table makes a key of theirs somebody else's; the columns beside it are what SQL decides by, or what is shown.
CREATE TABLE passkeys (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    -- what the owner calls it
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    -- SHA-256 of the credential's id: one credential belongs to one account
    credential_digest bytea NOT NULL UNIQUE CHECK (octet_length(credential_digest) = 32),
    key_version integer NOT NULL,
    sealed bytea NOT NULL CHECK (octet_length(sealed) BETWEEN 29 AND 16384),
    -- of the device, as it was last told; most do not count and say 0
    counter bigint NOT NULL CHECK (counter BETWEEN 0 AND 4294967295),
    -- whether it is on more than one device
    is_backed_up boolean NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz CHECK (last_used_at >= created_at)
);
CREATE INDEX passkeys_user ON passkeys (user_id);
GRANT SELECT, INSERT, UPDATE (name, key_version, sealed, counter, is_backed_up, last_used_at), DELETE ON passkeys TO portcullis_runtime;
