-- Exact counters of the shared quotas, fixed and sliding windows alike. They take the place of quota_counters, which older binaries
-- use until they are gone; it goes with a later migration.

-- Counts by the time at which their part of the window began. A fixed window has one part, begun by its first count; a sliding one has
-- a part a slice of time. A part counts for `keep` milliseconds from its beginning. Unlogged: losing them in a crash of Postgres
-- forgives some attempts, and writing them must not cost a flush to disk.
CREATE UNLOGGED TABLE quota_windows (
    quota text NOT NULL,
    subject bytea NOT NULL CHECK (octet_length(subject) = 32),
    -- milliseconds since 1970, and how many were counted in each
    starts bigint[] NOT NULL DEFAULT '{}',
    hits integer[] NOT NULL DEFAULT '{}',
    -- by then nothing of it counts any more
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (quota, subject),
    CHECK (cardinality(starts) = cardinality(hits))
);
CREATE INDEX quota_windows_expired ON quota_windows (expires_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON quota_windows TO portcullis_runtime;

-- Counts one under each of these, or, where one of them is used up, nothing at all: a refused attempt must not use up what belongs
-- to somebody else. `grains`: milliseconds of a slice; 0: a fixed window. src/platform/window.rs and src/edge/rate_limit/spend.lua do
-- the same; tests hold the three together.
CREATE FUNCTION spend_quotas(quotas text[], subjects bytea[], numbers bigint[], keeps bigint[], grains bigint[], moment bigint)
RETURNS TABLE (quota text, used bigint, is_over boolean, start bigint, frees_at bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    -- takes the rows' locks, in one order, so that two calls cannot wait for each other for ever; `WHERE false`: writes nothing
    INSERT INTO quota_windows AS w (quota, subject, expires_at)
    SELECT n.quota, n.subject, to_timestamp(moment / 1000.0) FROM unnest(quotas, subjects) n (quota, subject) ORDER BY n.quota, n.subject
    ON CONFLICT (quota, subject) DO UPDATE SET hits = w.hits WHERE false;

    -- a statement of its own sees what was committed while the first one waited
    RETURN QUERY
    WITH asked AS (
        SELECT n.*, coalesce(live.starts, '{}') AS starts, coalesce(live.hits, '{}') AS hits, coalesce(live.used, 0)::bigint AS used,
               CASE WHEN n.grain > 0 THEN moment - moment % n.grain ELSE coalesce(live.starts[1], moment) END AS start,
               -- when enough of the oldest parts are over that one more fits
               coalesce((SELECT min(p.start) FROM (SELECT s.start, sum(s.hits) OVER (ORDER BY s.start) AS gone
                             FROM unnest(live.starts, live.hits) s (start, hits)) p WHERE p.gone > live.used - n.number) + n.keep, moment) AS frees_at
        FROM unnest(quotas, subjects, numbers, keeps, grains) n (quota, subject, number, keep, grain)
        JOIN quota_windows w ON w.quota = n.quota AND w.subject = n.subject
        CROSS JOIN LATERAL (
            SELECT array_agg(s.start ORDER BY s.start) AS starts, array_agg(s.hits ORDER BY s.start) AS hits, sum(s.hits) AS used
            FROM unnest(w.starts, w.hits) s (start, hits) WHERE s.start + n.keep > moment) live
    ), verdict AS (
        SELECT bool_and(a.used < a.number) AS fits FROM asked a
    ), counted AS (
        UPDATE quota_windows w SET
            starts = CASE WHEN a.starts[cardinality(a.starts)] = a.start THEN a.starts ELSE a.starts || a.start END,
            hits = CASE WHEN a.starts[cardinality(a.starts)] = a.start
                THEN a.hits[:cardinality(a.hits) - 1] || a.hits[cardinality(a.hits)] + 1 ELSE a.hits || 1 END,
            expires_at = to_timestamp((a.start + a.keep) / 1000.0)
        FROM asked a, verdict WHERE verdict.fits AND w.quota = a.quota AND w.subject = a.subject
    )
    SELECT a.quota, a.used + verdict.fits::integer, a.used >= a.number, a.start, a.frees_at FROM asked a, verdict;
END $$;
REVOKE EXECUTE ON FUNCTION spend_quotas FROM PUBLIC;
GRANT EXECUTE ON FUNCTION spend_quotas TO portcullis_runtime;
