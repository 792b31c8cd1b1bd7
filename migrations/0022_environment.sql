-- Which environment this database belongs to: the first one that used it (practice 9.per-environment). Written once; only the owner can take it
-- away, with `DELETE FROM deployment`.
CREATE TABLE deployment (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    environment text NOT NULL CHECK (environment IN ('development', 'production')),
    marked_at timestamptz NOT NULL
);
GRANT SELECT, INSERT ON deployment TO portcullis_runtime;
