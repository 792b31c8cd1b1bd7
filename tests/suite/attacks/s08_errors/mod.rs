mod forged_traces;
mod inside_of_errors;
mod secrets_in_logs;
