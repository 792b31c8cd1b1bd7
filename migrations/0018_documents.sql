-- Documents: the demonstration resource, on which policies decide (practices 1.abac, 10.object-level).
CREATE TABLE documents (
    id uuid PRIMARY KEY,
    owner_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    department text CHECK (char_length(department) BETWEEN 1 AND 100),
    -- 0 public, 1 internal, 2 confidential, 3 restricted
    classification smallint NOT NULL CHECK (classification BETWEEN 0 AND 3),
    title text NOT NULL CHECK (char_length(title) BETWEEN 1 AND 100),
    -- clean HTML
    body text NOT NULL CHECK (char_length(body) <= 4000),
    -- rises with every change: the entity tag
    version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    -- can be restored until a purge takes it
    deleted_at timestamptz
);
-- what a list may hold is found by one of these each, newest first
CREATE INDEX documents_owner ON documents (owner_id, id);
CREATE INDEX documents_department ON documents (department, id) WHERE department IS NOT NULL;
CREATE INDEX documents_public ON documents (id) WHERE classification = 0;
CREATE INDEX documents_deleted ON documents (deleted_at) WHERE deleted_at IS NOT NULL;
-- by column: nobody gives a document to another owner
GRANT SELECT, INSERT, UPDATE (department, classification, title, body, version, updated_at, deleted_at), DELETE ON documents TO portcullis_runtime;

-- Who else may read or edit one: an account or a role, each once.
CREATE TABLE document_shares (
    document_id uuid NOT NULL REFERENCES documents ON DELETE CASCADE,
    user_id uuid REFERENCES users ON DELETE CASCADE,
    role text REFERENCES roles ON DELETE CASCADE,
    access text NOT NULL CHECK (access IN ('viewer', 'editor')),
    CHECK (num_nonnulls(user_id, role) = 1)
);
CREATE UNIQUE INDEX document_shares_user ON document_shares (user_id, document_id) WHERE user_id IS NOT NULL;
CREATE UNIQUE INDEX document_shares_role ON document_shares (role, document_id) WHERE role IS NOT NULL;
CREATE INDEX document_shares_document ON document_shares (document_id);
GRANT SELECT, INSERT, DELETE ON document_shares TO portcullis_runtime;

INSERT INTO permissions (name, description) VALUES
    ('documents:read', 'list and read documents, as far as policies allow'),
    ('documents:write', 'make, edit, share, delete and restore documents, as far as policies allow'),
    ('documents:manage', 'answer for the documents of one''s own department');
INSERT INTO roles (name, description, built_in, created_at) VALUES
    ('member', 'has documents; every account begins with it', true, now()),
    ('manager', 'answers for the documents of one''s own department', true, now());
INSERT INTO role_permissions (role, permission) VALUES
    ('member', 'documents:read'), ('member', 'documents:write'),
    ('manager', 'documents:read'), ('manager', 'documents:write'), ('manager', 'documents:manage'),
    ('administrator', 'documents:read'), ('administrator', 'documents:write'), ('administrator', 'documents:manage');

-- Every person begins as a member, whichever way the account came about; administrators may take that away. A service account has what it is
-- given.
CREATE FUNCTION begin_as_member() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO user_roles (user_id, role, granted_at) VALUES (NEW.id, 'member', NEW.created_at);
    RETURN NULL;
END $$;
CREATE TRIGGER users_begin_as_member AFTER INSERT ON users FOR EACH ROW WHEN (NEW.kind = 'person') EXECUTE FUNCTION begin_as_member();
INSERT INTO user_roles (user_id, role, granted_at) SELECT id, 'member', now() FROM users WHERE kind = 'person';
-- tokens carry what their owners may do
UPDATE users SET authz_version = authz_version + 1;
