//! Webhooks: what others tell this service, and what it tells them. [`signature`] is the form that both halves share, [`inbound`] what
//! comes in, [`endpoint`] who is told, [`delivery`] what they are told and how often.
//! Practices 11.signature, 11.replay, 11.https-only. Attacks: `tests/suite/attacks/s11_webhooks/`.

pub mod delivery;
pub mod endpoint;
pub mod inbound;
pub mod signature;
