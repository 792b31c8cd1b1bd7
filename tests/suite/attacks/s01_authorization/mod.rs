mod cursor_tampering;
mod last_administrator;
mod others_records;
mod role_escalation;
mod stale_role;
