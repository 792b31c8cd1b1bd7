//! The floor of the house: database, clock, randomness, keys, mail, telemetry. Knows no product word, so that every room
//! above can stand on it and nothing here has to change when the product does.

pub mod clock;
pub mod crypto;
pub mod db;
pub mod fence;
pub mod fenced;
pub mod files;
pub mod keyring;
pub mod local_postgres;
pub mod mail;
pub mod marks;
pub mod maybe_text;
pub mod outbound;
pub mod outbox;
pub mod places;
mod postgres_binaries;
pub mod process;
pub mod redaction;
pub mod redis;
#[cfg_attr(not(feature = "sentry"), path = "no_reports.rs")]
pub mod reports;
pub mod telemetry;
pub mod window;
