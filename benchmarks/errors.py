"""The errors of measuring."""

from salesmatter.errors import StartError


class BenchFailed(StartError):
    """What was to be measured did not do what it is measured at."""
