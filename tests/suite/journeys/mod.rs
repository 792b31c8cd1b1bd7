//! What people do, from end to end.

mod administration;
mod devices;
mod faults;
mod first_light;
mod personal_data;
mod recovery;
mod the_binary;
pub mod tokens;
