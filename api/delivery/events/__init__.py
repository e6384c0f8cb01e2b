"""Events: storing what the provider reports about each message, and acting on it."""
