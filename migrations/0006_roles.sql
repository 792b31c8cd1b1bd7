-- Users have roles, roles have permissions. Rules that need more than one row (nobody grants what they do not hold, the last
-- administrator stays) are in src/access; what one row can say is said here.
CREATE TABLE permissions (
    name text PRIMARY KEY,
    description text NOT NULL
);
CREATE TABLE roles (
    name text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9-]{0,49}$'),
    description text NOT NULL CHECK (char_length(description) <= 200),
    built_in boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL
);
CREATE TABLE role_permissions (
    role text NOT NULL REFERENCES roles ON DELETE CASCADE,
    permission text NOT NULL REFERENCES permissions,
    PRIMARY KEY (role, permission)
);
CREATE TABLE user_roles (
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    role text NOT NULL REFERENCES roles ON DELETE CASCADE,
    -- NULL: by the command line, or by somebody who is gone
    granted_by uuid REFERENCES users ON DELETE SET NULL,
    granted_at timestamptz NOT NULL,
    expires_at timestamptz CHECK (expires_at > granted_at),
    PRIMARY KEY (user_id, role)
);
CREATE INDEX user_roles_role ON user_roles (role);
CREATE INDEX user_roles_granted_by ON user_roles (granted_by) WHERE granted_by IS NOT NULL;
CREATE INDEX user_roles_expired ON user_roles (expires_at) WHERE expires_at IS NOT NULL;

INSERT INTO permissions (name, description) VALUES
    ('users:read', 'list accounts and read them'),
    ('users:manage', 'disable and enable accounts, set departments, end sessions'),
    ('roles:read', 'list roles and permissions'),
    ('roles:manage', 'make, change and delete roles'),
    ('roles:assign', 'give roles to people and take them away'),
    ('invitations:manage', 'invite people, list and revoke invitations'),
    ('audit:read', 'read the audit log');
INSERT INTO roles (name, description, built_in, created_at) VALUES
    ('administrator', 'may do everything', true, now()),
    ('auditor', 'reads the audit log and who there is', true, now());
INSERT INTO role_permissions (role, permission) SELECT 'administrator', name FROM permissions;
INSERT INTO role_permissions (role, permission) VALUES ('auditor', 'audit:read'), ('auditor', 'users:read'), ('auditor', 'roles:read');

-- Built-in roles stay as they are, whoever asks.
CREATE FUNCTION keep_built_in_roles() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    touched text := CASE TG_TABLE_NAME WHEN 'roles' THEN to_jsonb(OLD) ->> 'name' ELSE coalesce(to_jsonb(OLD), to_jsonb(NEW)) ->> 'role' END;
BEGIN
    IF current_user = 'portcullis_runtime' AND EXISTS (SELECT FROM roles WHERE name = touched AND built_in) THEN
        RAISE EXCEPTION 'role % is built in', touched USING ERRCODE = 'check_violation', CONSTRAINT = 'roles_built_in';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER roles_built_in BEFORE UPDATE OR DELETE ON roles FOR EACH ROW EXECUTE FUNCTION keep_built_in_roles();
CREATE TRIGGER role_permissions_built_in BEFORE INSERT OR UPDATE OR DELETE ON role_permissions FOR EACH ROW EXECUTE FUNCTION keep_built_in_roles();

ALTER TABLE users
    -- rises with every change of what the person may do: tokens and caches that carry an older one are stale
    ADD COLUMN authz_version integer NOT NULL DEFAULT 1,
    ADD COLUMN department text CHECK (char_length(department) BETWEEN 1 AND 100);
CREATE INDEX users_department ON users (department, id) WHERE department IS NOT NULL;

GRANT SELECT ON permissions TO portcullis_runtime;
-- by column: the service makes no role that is built in, and renames none
GRANT SELECT, INSERT (name, description, created_at), UPDATE (description), DELETE ON roles TO portcullis_runtime;
GRANT SELECT, INSERT, UPDATE, DELETE ON user_roles TO portcullis_runtime;
GRANT SELECT, INSERT, DELETE ON role_permissions TO portcullis_runtime;
