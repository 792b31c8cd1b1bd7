-- What happened, by whom, to whom, from where. The run-time role may add and read, never change or delete.

-- One key a person: their personal details in the audit log and their exports open with it only. Deleting it makes what remains
-- anonymous. Sealed under the keyring's subject key.
CREATE TABLE subject_keys (
    subject uuid PRIMARY KEY,
    sealed bytea NOT NULL,
    key_version integer NOT NULL,
    created_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, DELETE ON subject_keys TO portcullis_runtime;

-- Ids are UUIDv7: their order is the order of time, and lists page by them. No foreign keys: events outlive accounts.
CREATE TABLE audit_events (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    event text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('success', 'refused')),
    actor uuid,
    subject uuid,
    request uuid,
    -- nothing personal in here: ids, role names, numbers
    detail jsonb NOT NULL,
    -- address, device, e-mail addresses: sealed under the key of the actor, else of the subject; with a version, under the keyring's
    sealed bytea NOT NULL,
    key_version integer,
    CHECK (key_version IS NOT NULL OR actor IS NOT NULL OR subject IS NOT NULL)
);
CREATE INDEX audit_events_subject ON audit_events (subject, id);
CREATE INDEX audit_events_actor ON audit_events (actor, id);
CREATE INDEX audit_events_event ON audit_events (event, id);
GRANT SELECT, INSERT ON audit_events TO portcullis_runtime;
