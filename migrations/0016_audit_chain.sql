-- The audit log is chained: each event's hash covers the one before, and each batch ends with a head that is signed with a key that is
-- not in here. What it proves and how: docs/audit.md.

-- Events that wait for the chainer, written in their own transaction: one that commits late is not missed, however old its id is.
CREATE TABLE audit_unchained (
    event_id uuid PRIMARY KEY,
    -- an infinite time is none that the service could read
    at timestamptz NOT NULL CHECK (isfinite(at))
);
GRANT SELECT, INSERT, DELETE ON audit_unchained TO portcullis_runtime;

-- A trigger, so that nothing that writes events can forget it.
CREATE FUNCTION queue_for_chain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_unchained (event_id, at) VALUES (NEW.id, NEW.at);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_events_queue AFTER INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION queue_for_chain();
-- the trigger's lock keeps others from writing events meanwhile
INSERT INTO audit_unchained (event_id, at) SELECT id, at FROM audit_events;

-- No foreign key: whoever deletes an event must leave a link without one.
CREATE TABLE audit_chain (
    seq bigint PRIMARY KEY CHECK (seq > 0),
    event_id uuid NOT NULL UNIQUE,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32)
);
GRANT SELECT, INSERT ON audit_chain TO portcullis_runtime;

-- One a batch: what the chain was up to there. Each names the one before, so that none can be taken out.
CREATE TABLE audit_heads (
    seq bigint PRIMARY KEY,
    after bigint NOT NULL CHECK (after < seq),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    at timestamptz NOT NULL CHECK (isfinite(at)),
    key_version integer NOT NULL,
    signature bytea NOT NULL CHECK (octet_length(signature) = 64)
);
CREATE INDEX audit_heads_at ON audit_heads (at);
GRANT SELECT, INSERT ON audit_heads TO portcullis_runtime;

-- What was here up to `seq` went by `portcullis audit prune`, and the rest goes on from this hash. Written by the owner only.
CREATE TABLE audit_checkpoints (
    seq bigint PRIMARY KEY,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    at timestamptz NOT NULL CHECK (isfinite(at)),
    key_version integer NOT NULL,
    signature bytea NOT NULL CHECK (octet_length(signature) = 64)
);
GRANT SELECT ON audit_checkpoints TO portcullis_runtime;
