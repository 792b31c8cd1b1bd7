-- Webhooks (practices 11.signature, 11.replay).
INSERT INTO permissions (name, description) VALUES ('webhooks:manage', 'look at webhooks in both directions; say who is told what');
INSERT INTO role_permissions (role, permission) VALUES ('administrator', 'webhooks:manage');
