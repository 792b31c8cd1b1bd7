-- API keys for machines, and accounts that no person owns, so that keys outlive whoever made them.

-- A service account is a row here like any other: roles, departments, disabling and `authz_version` hold for it unchanged. Without an
-- address there is nothing to sign in with, to reset or to write to; what only people do is no state of it.
ALTER TABLE users
    ADD COLUMN kind text NOT NULL DEFAULT 'person' CHECK (kind IN ('person', 'service')),
    ALTER COLUMN email DROP NOT NULL,
    ADD CONSTRAINT users_service CHECK (CASE kind WHEN 'person' THEN email IS NOT NULL
        ELSE email IS NULL AND about = '' AND status <> 'closing' AND last_signed_in_at IS NULL END);
CREATE INDEX users_service_accounts ON users (id) WHERE kind = 'service';

-- Nothing becomes the other: else a service account could be given an address, and with it a password by letter.
CREATE FUNCTION keep_kind() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an account stays what it is' USING ERRCODE = 'check_violation', CONSTRAINT = 'users_kind_kept';
END $$;
CREATE TRIGGER users_kind_kept BEFORE UPDATE ON users FOR EACH ROW WHEN (OLD.kind <> NEW.kind) EXECUTE FUNCTION keep_kind();

-- What makes somebody a person here (a session, a password, a factor, a letter's proof) has a person behind it, whoever writes the row.
CREATE FUNCTION people_only() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    owner uuid := to_jsonb(NEW) ->> TG_ARGV[0];
BEGIN
    IF EXISTS (SELECT FROM users WHERE id = owner AND kind <> 'person') THEN
        RAISE EXCEPTION '% is a service account', owner USING ERRCODE = 'check_violation', CONSTRAINT = 'people_only';
    END IF;
    RETURN NEW;
END $$;
DO $$
DECLARE
    of_people text;
BEGIN
    FOREACH of_people IN ARRAY ARRAY['challenges', 'exports', 'identities', 'mailed_proofs', 'passkeys', 'passwords', 'recovery_codes', 'sessions', 'totp']
    LOOP
        EXECUTE format('CREATE TRIGGER %I BEFORE INSERT OR UPDATE OF user_id ON %I FOR EACH ROW EXECUTE FUNCTION people_only(''user_id'')',
            of_people || '_people_only', of_people);
    END LOOP;
END $$;
CREATE TRIGGER invitations_people_only BEFORE INSERT OR UPDATE OF invited_by ON invitations FOR EACH ROW EXECUTE FUNCTION people_only('invited_by');

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    -- whose authority it draws on
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    -- keyed digest of the whole key: the key itself is nowhere
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    key_version integer NOT NULL,
    -- from where it may be used; NULL: from anywhere
    networks cidr[] CHECK (cardinality(networks) BETWEEN 1 AND 20),
    created_at timestamptz NOT NULL,
    -- NULL: by somebody who is gone
    created_by uuid REFERENCES users ON DELETE SET NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
    last_used_at timestamptz,
    revoked_at timestamptz,
    -- the key that takes over; this one ends with the overlap
    replaced_by uuid UNIQUE REFERENCES api_keys ON DELETE SET NULL
);
CREATE INDEX api_keys_user ON api_keys (user_id, id);
CREATE INDEX api_keys_created_by ON api_keys (created_by) WHERE created_by IS NOT NULL;
CREATE INDEX api_keys_expired ON api_keys (expires_at);
CREATE INDEX api_keys_revoked ON api_keys (revoked_at) WHERE revoked_at IS NOT NULL;

-- What a key was made for; what its account may do at the moment of use bounds it further.
CREATE TABLE api_key_scopes (
    api_key uuid NOT NULL REFERENCES api_keys ON DELETE CASCADE,
    permission text NOT NULL REFERENCES permissions,
    PRIMARY KEY (api_key, permission)
);

INSERT INTO permissions (name, description) VALUES ('service_accounts:manage', 'list, make, change and delete service accounts and their keys');
INSERT INTO role_permissions (role, permission) VALUES ('administrator', 'service_accounts:manage');

-- by column: a key changes neither its owner nor its secret, and the service takes no scope from a key and gives it to another
GRANT SELECT, INSERT, UPDATE (expires_at, last_used_at, revoked_at, replaced_by), DELETE ON api_keys TO portcullis_runtime;
GRANT SELECT, INSERT ON api_key_scopes TO portcullis_runtime;
