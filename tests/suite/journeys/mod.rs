//! What people do, from end to end.

mod faults;
mod first_light;
mod the_binary;
