mod altered_audit_log;
mod forged_traces;
mod inside_of_errors;
mod leaking_log_lines;
mod secrets_in_logs;
mod secrets_in_reports;
