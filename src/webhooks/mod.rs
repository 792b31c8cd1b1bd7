//! Webhooks: what others tell this service, and what it tells them. [`signature`] is the form that both halves share, [`inbound`] what
//! comes in.
//! Practices 11.signature, 11.replay. Attacks: `tests/suite/attacks/s11_webhooks/`.

pub mod inbound;
pub mod signature;
