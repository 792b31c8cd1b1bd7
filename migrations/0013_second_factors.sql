-- Second factors, what is begun and not finished yet, and how sure a session is of its owner.

-- Time-based one-time passwords (RFC 6238), one seed an account.
CREATE TABLE totp (
    user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    seed_sealed bytea NOT NULL,
    seed_key_version integer NOT NULL,
    -- NULL: shown to the owner, who has not given a code of it yet; worth nothing until then
    confirmed_at timestamptz,
    created_at timestamptz NOT NULL,
    -- the newest time step that was used: it and all before it are worth nothing any more
    last_step bigint NOT NULL DEFAULT 0
);
GRANT SELECT, INSERT, UPDATE, DELETE ON totp TO portcullis_runtime;

-- For who has lost the others. Keyed digests of 120 random bits each; a set is replaced as a whole.
CREATE TABLE recovery_codes (
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    key_version integer NOT NULL,
    created_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (user_id, digest)
);
GRANT SELECT, INSERT, UPDATE (used_at), DELETE ON recovery_codes TO portcullis_runtime;

-- Something begun that is finished once, in time, by whoever holds its token: a sign-in that waits for the second factor, the
-- ceremonies of passkeys, a sign-in at another place.
CREATE TABLE challenges (
    id uuid PRIMARY KEY,
    purpose text NOT NULL CHECK (purpose IN ('sign_in', 'passkey_registration', 'passkey_sign_in', 'passkey_step_up', 'oauth')),
    token_digest bytea NOT NULL UNIQUE CHECK (octet_length(token_digest) = 32),
    user_id uuid REFERENCES users ON DELETE CASCADE,
    -- the session that begun it, where only that one may finish it
    session_id uuid REFERENCES sessions ON DELETE CASCADE,
    state_sealed bytea NOT NULL,
    state_key_version integer NOT NULL,
    tries smallint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
    used_at timestamptz
);
CREATE INDEX challenges_user ON challenges (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX challenges_session ON challenges (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX challenges_expired ON challenges (expires_at);
GRANT SELECT, INSERT, UPDATE (state_sealed, state_key_version, tries, used_at), DELETE ON challenges TO portcullis_runtime;

ALTER TABLE sessions
    -- until then the second assurance level lasts: it falls back to the first when nobody uses the session, and after a day
    ADD COLUMN aal2_until timestamptz,
    -- when its owner signed in; `authenticated_at` moves on whenever they show once more who they are
    ADD COLUMN started_at timestamptz,
    -- when its owner last showed that they read the account's mail
    ADD COLUMN mailbox_proven_at timestamptz,
    ADD CHECK (assurance = 1 OR aal2_until IS NOT NULL);
UPDATE sessions SET started_at = authenticated_at;
ALTER TABLE sessions ALTER COLUMN started_at SET NOT NULL;

-- What a role allows counts only for who has shown a second factor.
ALTER TABLE roles ADD COLUMN requires_second_factor boolean NOT NULL DEFAULT false;
GRANT UPDATE (requires_second_factor) ON roles TO portcullis_runtime;

-- of built-in roles, too: nothing else about them changes
CREATE OR REPLACE FUNCTION keep_built_in_roles() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    touched text := CASE TG_TABLE_NAME WHEN 'roles' THEN to_jsonb(OLD) ->> 'name' ELSE coalesce(to_jsonb(OLD), to_jsonb(NEW)) ->> 'role' END;
BEGIN
    IF current_user = 'portcullis_runtime' AND EXISTS (SELECT FROM roles WHERE name = touched AND built_in)
        AND NOT (TG_TABLE_NAME = 'roles' AND TG_OP = 'UPDATE'
            AND to_jsonb(NEW) - 'requires_second_factor' = to_jsonb(OLD) - 'requires_second_factor') THEN
        RAISE EXCEPTION 'role % is built in', touched USING ERRCODE = 'check_violation', CONSTRAINT = 'roles_built_in';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END $$;

-- An administrator's help for who has lost the second factor: a link to the owner's mailbox. And a code by which the owner agrees to
-- the first second factor.
ALTER TABLE mailed_proofs DROP CONSTRAINT mailed_proofs_purpose_check;
ALTER TABLE mailed_proofs ADD CONSTRAINT mailed_proofs_purpose_check CHECK (purpose IN (
    'registration', 'invitation', 'password_reset', 'email_change', 'email_undo', 'disown_session', 'trust_device', 'keep_account',
    'second_factor_reset', 'first_factor'));
