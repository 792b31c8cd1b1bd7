-- Who was invited to what. The mailed proof with the same id is the link; it carries address, end and use.
CREATE TABLE invitations (
    id uuid PRIMARY KEY REFERENCES mailed_proofs ON DELETE CASCADE,
    invited_by uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    department text CHECK (char_length(department) BETWEEN 1 AND 100),
    revoked_at timestamptz
);
CREATE INDEX invitations_invited_by ON invitations (invited_by);
CREATE TABLE invitation_roles (
    invitation uuid NOT NULL REFERENCES invitations ON DELETE CASCADE,
    -- a role that is deleted is granted to nobody
    role text NOT NULL REFERENCES roles ON DELETE CASCADE,
    PRIMARY KEY (invitation, role)
);
CREATE INDEX invitation_roles_role ON invitation_roles (role);
GRANT SELECT, INSERT, UPDATE ON invitations TO portcullis_runtime;
GRANT SELECT, INSERT ON invitation_roles TO portcullis_runtime;
