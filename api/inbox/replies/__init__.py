"""Replies: what people send back, what they mean, and what follows."""
