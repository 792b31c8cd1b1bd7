//! What people do, from end to end.

mod first_light;
