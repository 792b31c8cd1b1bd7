mod cursor_tampering;
mod key_scope_escalation;
mod last_administrator;
mod others_records;
mod role_escalation;
mod service_account_takeover;
mod stale_role;
