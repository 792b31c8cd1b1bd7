-- Identities at other services. One belongs to one account: nobody can link somebody else's, and it leads to one place only.
CREATE TABLE identities (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    -- who vouches, as in the tokens (`iss`); GitHub's are `https://github.com`
    issuer text NOT NULL CHECK (octet_length(issuer) BETWEEN 1 AND 500),
    -- who it is there (`sub`); never an address or a name, which change hands
    subject text NOT NULL CHECK (octet_length(subject) BETWEEN 1 AND 255),
    linked_at timestamptz NOT NULL,
    last_used_at timestamptz,
    CONSTRAINT identities_one_owner UNIQUE (issuer, subject)
);
CREATE INDEX identities_user ON identities (user_id, id);
GRANT SELECT, INSERT, UPDATE (last_used_at), DELETE ON identities TO portcullis_runtime;
