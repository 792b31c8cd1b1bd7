//! What a handler may trust of a request: its body, query, path and headers, all read through one type. Each is bounded and well-formed
//! first (size, nesting, number of values, UTF-8, nothing said twice), then of the right shape (serde, unknown fields refused), then right
//! field by field (garde). A refusal names every field that is wrong with its reason, and never repeats what was sent.
//! Practices 3.body, 3.query, 3.path, 3.headers, 3.schema, 3.descriptive-errors, 3.nosql-operator, 4.dos.
//! Attacks: `tests/suite/attacks/s03_validation/`.

mod body;
mod faults;
mod field;
pub mod header;
mod path;
mod query;
mod shape;
mod unread;

pub use body::MAX_FAULTS;
pub use field::{Field, Object, present};
pub use path::Segment;
pub use query::{MAX_PAIRS, MAX_QUERY};
pub use shape::{MAX_DEPTH, MAX_VALUES};
pub use unread::Unread;

/// A validated `E`: actix-web's `Json`, `Query`, `Path` or `Header`. `tests/suite/house_rules.rs` lets no handler take them without it.
pub struct Valid<E>(pub E);
