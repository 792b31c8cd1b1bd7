-- Alerts on suspicious patterns: what refusals look like together, over all nodes.

-- How often, by minute, something of a kind came from one source to one target. Both are keyed digests: of a client network, of an
-- address that was typed in, of an account, of a path. Unlogged: losing a quarter of an hour in a crash loses no alert that was raised.
CREATE UNLOGGED TABLE alert_signals (
    kind text NOT NULL,
    minute timestamptz NOT NULL,
    source bytea NOT NULL CHECK (octet_length(source) = 32),
    target bytea NOT NULL CHECK (octet_length(target) = 32),
    -- the account that it is about, where there is one
    account uuid,
    -- one of the requests, to be looked up in the log
    request uuid,
    hits integer NOT NULL CHECK (hits > 0),
    PRIMARY KEY (kind, minute, source, target)
);
CREATE INDEX alert_signals_minute ON alert_signals (minute);
GRANT SELECT, INSERT, UPDATE, DELETE ON alert_signals TO portcullis_runtime;

-- What was raised, so that it is raised once: nothing more about this subject until then.
CREATE TABLE alerts (
    pattern text NOT NULL,
    subject bytea NOT NULL CHECK (octet_length(subject) = 32),
    ends_at timestamptz NOT NULL,
    PRIMARY KEY (pattern, subject)
);
CREATE INDEX alerts_ends ON alerts (ends_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON alerts TO portcullis_runtime;
