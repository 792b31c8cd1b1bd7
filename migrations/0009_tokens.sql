-- Access and refresh tokens, keys that rotate, and the feed by which every node hears at once what has ended.

ALTER TABLE keyring
    -- of keys that sign
    ADD COLUMN algorithm text CHECK (algorithm IN ('EdDSA', 'ES256', 'RS256')),
    -- since when it is in this state
    ADD COLUMN changed_at timestamptz,
    -- what a retired key made is accepted until then; NULL: for as long as there is any of it
    ADD COLUMN accepted_until timestamptz,
    ADD CHECK (accepted_until IS NULL OR state = 'retired');
UPDATE keyring SET changed_at = created_at;
ALTER TABLE keyring ALTER COLUMN changed_at SET NOT NULL;
CREATE UNIQUE INDEX keyring_one_next ON keyring (purpose) WHERE state = 'next';
GRANT UPDATE (state, changed_at, accepted_until) ON keyring TO portcullis_runtime;

ALTER TABLE sessions
    -- how the person proved who they are (RFC 8176)
    ADD COLUMN amr text[] NOT NULL DEFAULT '{pwd}',
    -- what its user is told when it is asked for again
    ADD COLUMN end_reason text CHECK (end_reason IN ('refresh_token_replayed')),
    -- of the cookie that a refresh token in a cookie needs beside it; NULL: the token comes in the body
    ADD COLUMN tie_digest bytea CHECK (octet_length(tie_digest) = 32),
    ADD CHECK (end_reason IS NULL OR revoked_at IS NOT NULL);
CREATE INDEX sessions_tokens_ended ON sessions (revoked_at) WHERE transport = 'token' AND revoked_at IS NOT NULL;

-- One row a refresh token, each the successor of one before. Digests only; a successor can be derived again from its parent and
-- this nonce, under a key that is not in the row, for as long as the grace lasts.
CREATE TABLE refresh_tokens (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    session_id uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    parent bytea UNIQUE CHECK (octet_length(parent) = 32),
    nonce bytea CHECK (octet_length(nonce) = 32),
    key_version integer,
    issued_at timestamptz NOT NULL,
    used_at timestamptz,
    -- as much of the address as the settings allow
    used_from text CHECK (octet_length(used_from) <= 45),
    CHECK ((parent IS NULL) = (nonce IS NULL) AND (nonce IS NULL) = (key_version IS NULL))
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_used ON refresh_tokens (used_at) WHERE used_at IS NOT NULL;
GRANT SELECT, INSERT, UPDATE (used_at, used_from), DELETE ON refresh_tokens TO portcullis_runtime;

ALTER TABLE users ADD COLUMN authz_changed_at timestamptz NOT NULL DEFAULT '-infinity';
CREATE INDEX users_authz_changed ON users (authz_changed_at) WHERE authz_changed_at > '-infinity';

-- The feed. Triggers, so that nothing that ends a session or changes authority can forget to say so, an operator's own statement
-- least of all. Only what tokens need: NOTIFY makes commits wait for each other.
CREATE FUNCTION feed_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('portcullis', 'session ' || OLD.id);
    RETURN NULL;
END $$;
CREATE TRIGGER sessions_feed_ended AFTER UPDATE OF revoked_at ON sessions FOR EACH ROW
    WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL AND NEW.transport = 'token') EXECUTE FUNCTION feed_session();
CREATE TRIGGER sessions_feed_deleted AFTER DELETE ON sessions FOR EACH ROW
    WHEN (OLD.revoked_at IS NULL AND OLD.transport = 'token') EXECUTE FUNCTION feed_session();

CREATE FUNCTION note_authority() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- also for whoever changes the status by hand
    NEW.authz_version := greatest(NEW.authz_version, OLD.authz_version + 1);
    NEW.authz_changed_at := now();
    PERFORM pg_notify('portcullis', 'account ' || NEW.id || ' ' || NEW.authz_version);
    RETURN NEW;
END $$;
CREATE TRIGGER users_note_authority BEFORE UPDATE ON users FOR EACH ROW
    WHEN (OLD.authz_version <> NEW.authz_version OR OLD.status <> NEW.status) EXECUTE FUNCTION note_authority();

CREATE FUNCTION feed_keys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('portcullis', 'keys');
    RETURN NULL;
END $$;
CREATE TRIGGER keyring_feed AFTER INSERT OR UPDATE ON keyring FOR EACH STATEMENT EXECUTE FUNCTION feed_keys();
