//! What people do, from end to end.

mod administration;
mod api_keys;
mod audit_log;
mod deployment;
mod devices;
mod documents;
mod faults;
mod first_light;
mod inbound_webhooks;
pub mod kept_secrets;
mod nodes;
mod passkeys;
mod personal_data;
mod recovery;
mod rotation;
mod second_factor;
mod social;
pub mod the_binary;
pub mod tokens;
pub mod watched;
mod webhook_endpoints;
