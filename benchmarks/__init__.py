"""Benchmarks: each measures one part of the service beside a baseline."""
