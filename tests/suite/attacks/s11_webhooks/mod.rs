//! Webhooks, in both directions.

mod forged_webhook;
mod offboarding_abuse;
mod oversized_webhook;
mod replayed_webhook;
mod request_forgery;
mod webhook_from_elsewhere;
