-- Closing an account, erasing a person, and taking one's data along; letters that cannot be delivered.
ALTER TABLE users
    DROP CONSTRAINT users_status_check,
    ADD CHECK (status IN ('active', 'disabled', 'closing')),
    -- a closing account is erased at this time
    ADD COLUMN erase_at timestamptz,
    -- what administrators decide of a closing account holds when it is kept
    ADD COLUMN disabled_while_closing boolean NOT NULL DEFAULT false,
    ADD CHECK ((status = 'closing') = (erase_at IS NOT NULL));
CREATE INDEX users_erase_at ON users (erase_at) WHERE erase_at IS NOT NULL;
GRANT DELETE ON users, passwords TO portcullis_runtime;

CREATE TABLE exports (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    requested_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    -- the file, sealed under the subject's key; NULL while it is being made
    sealed bytea
);
CREATE INDEX exports_user ON exports (user_id, id);
CREATE INDEX exports_pending ON exports (id) WHERE sealed IS NULL;
CREATE INDEX exports_expired ON exports (expires_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON exports TO portcullis_runtime;

-- A letter that no server took after many tries: kept sealed for an operator, not tried again.
ALTER TABLE outbox
    ADD COLUMN dead_at timestamptz,
    -- its link has run out by then: not worth sending any more
    ADD COLUMN expires_at timestamptz;
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (due_at) WHERE dead_at IS NULL;
CREATE INDEX outbox_dead ON outbox (dead_at) WHERE dead_at IS NOT NULL;
