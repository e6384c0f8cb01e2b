"""The service: HTTP for people and providers, and the worker that does what was put on the queue."""
