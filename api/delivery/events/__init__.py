"""Events: what the provider told of each message, and what follows from it."""
