mod lookalike_origins;
mod rebound_name;
