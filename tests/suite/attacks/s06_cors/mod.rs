mod lookalike_origins;
