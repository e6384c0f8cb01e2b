"""How tests have queued work done."""

from collections.abc import Awaitable, Callable

RunJobs = Callable[[], Awaitable[None]]
"""Works until no job is due or running."""
