-- Keys of every purpose rotate: rows are sealed anew, keys on which nothing hangs any more end, and the keyring itself moves to another
-- key-encryption key.

ALTER TABLE keyring
    -- revoked because nothing hung on it any more, not because somebody else may have it
    ADD COLUMN ended boolean NOT NULL DEFAULT false,
    ADD CHECK (NOT ended OR state = 'revoked');
-- revoked and ended keys are destroyed; all others are sealed anew under the next key-encryption key
GRANT UPDATE (sealed, ended) ON keyring TO portcullis_runtime;

-- sealed anew, and replaced where nobody can open it any more
GRANT UPDATE (sealed, key_version) ON subject_keys TO portcullis_runtime;
