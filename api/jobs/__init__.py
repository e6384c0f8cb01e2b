"""Background work: the engine that does it, and what people see of it."""
