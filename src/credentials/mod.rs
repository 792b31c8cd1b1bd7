//! Proofs of who someone is.

pub mod password;
pub mod store;
