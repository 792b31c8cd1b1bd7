//! Portcullis: a user and account REST API on Postgres that shows every practice of an API security guide end to end.
//!
//! The map, from the ground up; imports run downwards only:
//! - [`platform`]: database, clock, randomness, keys, mail. Knows no product word.
//! - rooms: [`accounts`] (who there is), [`credentials`] (proofs), [`sessions`] (what a proof buys), [`access`] (may you).

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

pub mod access;
pub mod accounts;
pub mod credentials;
pub mod edge;
pub mod error;
pub mod platform;
pub mod sessions;
pub mod settings;
pub mod state;
