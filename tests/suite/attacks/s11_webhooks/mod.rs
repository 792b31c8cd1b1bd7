mod forged_webhook;
mod offboarding_abuse;
mod oversized_webhook;
mod replayed_webhook;
mod webhook_from_elsewhere;
