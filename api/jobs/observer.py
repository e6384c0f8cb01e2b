"""What the engine tells of the jobs that it runs: when one starts, and how its run ends."""

from typing import Protocol

from domain.job import RunOutcome


class JobObserver(Protocol):
    """Gets the starts and ends of jobs from the engine; must neither raise nor wait."""

    def claimed(self, job_type: str, lag_seconds: float) -> None:
        """Observe the start of a job, `lag_seconds` of real time after it was due."""

    def ended(self, job_type: str, outcome: RunOutcome, seconds: float) -> None:
        """Observe the end of a run, after `seconds` of real time."""


class NullObserver:
    """Ignores all jobs."""

    def claimed(self, job_type: str, lag_seconds: float) -> None:
        """Do nothing."""

    def ended(self, job_type: str, outcome: RunOutcome, seconds: float) -> None:
        """Do nothing."""
