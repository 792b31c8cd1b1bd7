-- Webhooks that come in (practices 11.signature, 11.replay).
CREATE TABLE webhook_inbox (
    id uuid PRIMARY KEY,
    source text NOT NULL CHECK (source ~ '^[a-z0-9-]{1,30}$'),
    -- what is spent once: the message's id where it is signed, else a digest of the body
    nonce text NOT NULL CHECK (octet_length(nonce) BETWEEN 1 AND 100),
    -- of two messages with one id, whether they are the same
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    -- nothing of a message without a time runs out by itself: its nonce stays when its contents go
    for_good boolean NOT NULL,
    kind text CHECK (char_length(kind) BETWEEN 1 AND 100),
    -- gone once it is forgotten
    sealed bytea,
    key_version integer,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'processed', 'dead')),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    received_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    finished_at timestamptz,
    CONSTRAINT webhook_inbox_once UNIQUE (source, nonce),
    CHECK ((state = 'waiting') = (finished_at IS NULL)),
    CHECK ((sealed IS NULL) = (key_version IS NULL)),
    CHECK (sealed IS NOT NULL OR finished_at IS NOT NULL)
);
CREATE INDEX webhook_inbox_due ON webhook_inbox (due_at) WHERE state = 'waiting';
CREATE INDEX webhook_inbox_dead ON webhook_inbox (id) WHERE state = 'dead';
CREATE INDEX webhook_inbox_finished ON webhook_inbox (finished_at) WHERE sealed IS NOT NULL OR NOT for_good;
-- by column: what came in is not changed
GRANT SELECT, INSERT, UPDATE (sealed, key_version, state, attempts, due_at, finished_at), DELETE ON webhook_inbox TO portcullis_runtime;

INSERT INTO permissions (name, description) VALUES ('webhooks:manage', 'look at webhooks in both directions; say who is told what');
INSERT INTO role_permissions (role, permission) VALUES ('administrator', 'webhooks:manage');
