//! Portcullis: a user and account REST API on Postgres that shows the practices of an API security guide end to end.
//!
//! The map, from the door inwards; imports run downwards only:
//! - [`cli`]: the commands. [`server`]: wiring, listeners, TLS. [`jobs`]: what runs by the clock.
//! - [`edge`]: what every request meets, in order on one page. [`api`]: every handler, and the route table.
//! - [`state`], [`settings`], [`error`]: what handlers use, what operators set, how refusals look.
//! - rooms: [`accounts`] (who there is), [`credentials`] (proofs), [`sessions`] (what a proof buys), [`access`] (may you),
//!   [`documents`] (the demonstration resource), [`webhooks`] (what other services tell and are told), [`audit`] (what happened),
//!   [`letters`] (mail), [`pages`] (the few HTML pages).
//! - [`platform`]: database, clock, randomness, keys, mail. Knows no product word.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

pub mod access;
pub mod accounts;
pub mod api;
pub mod audit;
pub mod cli;
pub mod credentials;
pub mod documents;
pub mod edge;
pub mod error;
pub mod jobs;
pub mod letters;
pub mod pages;
pub mod platform;
pub mod server;
pub mod sessions;
pub mod settings;
pub mod state;
pub mod webhooks;
