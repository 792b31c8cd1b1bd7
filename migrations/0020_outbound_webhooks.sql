-- Who is told of events, and what they were told (practices 11.signature, 11.https-only).

CREATE TABLE webhook_endpoints (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    url text NOT NULL CHECK (url LIKE 'https://%' AND octet_length(url) <= 500),
    -- names of events; NULL: all that are published
    events text[] CHECK (cardinality(events) BETWEEN 1 AND 100),
    created_at timestamptz NOT NULL,
    -- NULL: by somebody who is gone
    created_by uuid REFERENCES users ON DELETE SET NULL,
    disabled_at timestamptz,
    disabled_reason text CHECK (disabled_reason IN ('by_hand', 'gone', 'failing')),
    CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL)),
    -- nothing has arrived since
    failing_since timestamptz,
    -- of the next delivery: without gaps, so that who is told sees what is missing
    next_sequence bigint NOT NULL DEFAULT 1 CHECK (next_sequence > 0)
);
CREATE INDEX webhook_endpoints_created_by ON webhook_endpoints (created_by) WHERE created_by IS NOT NULL;
GRANT SELECT, INSERT, UPDATE (name, url, events, disabled_at, disabled_reason, failing_since, next_sequence), DELETE
    ON webhook_endpoints TO portcullis_runtime;

-- What is signed with: a secret of both sides and an Ed25519 key, sealed together. Two of them while they are replaced.
CREATE TABLE webhook_secrets (
    id uuid PRIMARY KEY,
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    sealed bytea NOT NULL,
    key_version integer NOT NULL,
    public_key text NOT NULL,
    created_at timestamptz NOT NULL,
    -- signs beside the one that took over until then; NULL: it is the one
    ends_at timestamptz
);
CREATE UNIQUE INDEX webhook_secrets_current ON webhook_secrets (endpoint_id) WHERE ends_at IS NULL;
CREATE INDEX webhook_secrets_endpoint ON webhook_secrets (endpoint_id);
GRANT SELECT, INSERT, UPDATE (ends_at, sealed, key_version), DELETE ON webhook_secrets TO portcullis_runtime;

-- Events that wait to be shared out, written in the transaction of what they tell about: none is lost, and none is told of what was
-- rolled back.
CREATE TABLE webhook_queue (
    event_id uuid PRIMARY KEY,
    at timestamptz NOT NULL
);
CREATE INDEX webhook_queue_at ON webhook_queue (at);
GRANT SELECT, INSERT, DELETE ON webhook_queue TO portcullis_runtime;

-- A trigger, so that nothing that writes events can forget it. What is published is a list in the code (src/webhooks/endpoint/published.rs);
-- what webhooks themselves do never is, lest telling of it make more to tell.
CREATE FUNCTION queue_for_webhooks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM webhook_endpoints WHERE disabled_at IS NULL AND (events IS NULL OR NEW.event = ANY (events))) THEN
        INSERT INTO webhook_queue (event_id, at) VALUES (NEW.id, NEW.at);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_events_tell AFTER INSERT ON audit_events FOR EACH ROW WHEN (NEW.event !~ '^(webhook|document)')
    EXECUTE FUNCTION queue_for_webhooks();

CREATE TABLE webhook_deliveries (
    id uuid PRIMARY KEY,
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    sequence bigint NOT NULL,
    event text NOT NULL,
    -- no foreign key: old events go by `portcullis audit prune`; NULL: a test
    event_id uuid,
    -- nothing personal in here
    payload text NOT NULL,
    created_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'given_up')),
    -- in all, and since it was made or sent again
    attempts integer NOT NULL DEFAULT 0,
    tried integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    -- somebody is at it until then, or has died
    leased_until timestamptz,
    UNIQUE (endpoint_id, sequence)
);
CREATE INDEX webhook_deliveries_list ON webhook_deliveries (endpoint_id, id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, due_at) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_created ON webhook_deliveries (created_at);
GRANT SELECT, INSERT, UPDATE (state, attempts, tried, due_at, leased_until), DELETE ON webhook_deliveries TO portcullis_runtime;

CREATE TABLE webhook_attempts (
    delivery_id uuid NOT NULL REFERENCES webhook_deliveries ON DELETE CASCADE,
    number integer NOT NULL CHECK (number > 0),
    at timestamptz NOT NULL,
    milliseconds integer NOT NULL CHECK (milliseconds >= 0),
    outcome text NOT NULL,
    status smallint,
    PRIMARY KEY (delivery_id, number)
);
GRANT SELECT, INSERT, DELETE ON webhook_attempts TO portcullis_runtime;
