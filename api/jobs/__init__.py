"""Background jobs: the engine that runs them, and the endpoints that show them."""
