"""Errors of benchmarks."""

from salesmatter.errors import StartError


class BenchmarkError(StartError):
    """The measured system did not behave as the benchmark expects."""
