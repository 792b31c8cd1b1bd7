-- Everything that a letter can prove stands in one table: links and codes of registrations, resets, changes of address and the
-- like are issued, tried and spent by the same statements. (A rename, because nothing is released yet; from the first release on,
-- migrations only add, so that the old binary keeps serving while the new one rolls out.)
ALTER TABLE registrations RENAME TO mailed_proofs;
ALTER INDEX registrations_email RENAME TO mailed_proofs_email;
ALTER INDEX registrations_expired RENAME TO mailed_proofs_expired;

ALTER TABLE mailed_proofs
    ADD COLUMN purpose text NOT NULL DEFAULT 'registration' CHECK (purpose IN (
        'registration', 'invitation', 'password_reset', 'email_change', 'email_undo', 'disown_session', 'trust_device', 'keep_account')),
    -- whose account it is about; none for a mailbox without one
    ADD COLUMN user_id uuid REFERENCES users ON DELETE CASCADE,
    -- the session that a "this was not me" link ends
    ADD COLUMN session_id uuid REFERENCES sessions ON DELETE CASCADE,
    -- links only, where nobody types anything
    ALTER COLUMN code_digest DROP NOT NULL,
    ALTER COLUMN code_key_version DROP NOT NULL,
    ADD CHECK ((code_digest IS NULL) = (code_key_version IS NULL)),
    ADD CHECK ((purpose = 'disown_session') = (session_id IS NOT NULL));
ALTER TABLE mailed_proofs ALTER COLUMN purpose DROP DEFAULT;
CREATE INDEX mailed_proofs_user ON mailed_proofs (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX mailed_proofs_session ON mailed_proofs (session_id) WHERE session_id IS NOT NULL;
