"""Prometheus metrics of a process and of the job queue, and health checks."""
