"""The list of benchmarks by name; a new benchmark is a new file and an entry here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.figures import Figure
from benchmarks.progress import Progress
from benchmarks.sizes import Size

# A benchmark is imported when it runs, so that listing the benchmarks is fast.
# ruff: noqa: PLC0415


@dataclass(frozen=True, slots=True)
class Bench:
    """A benchmark with a short description; `run` creates and removes what it needs, and may raise StartError."""

    description: str
    run: Callable[[Size, Progress], Sequence[Figure]]


def _api(size: Size, progress: Progress) -> Sequence[Figure]:
    from benchmarks.api import run

    return run(size, progress)


def _import(size: Size, progress: Progress) -> Sequence[Figure]:
    from benchmarks.imports import run

    return run(size, progress)


def _jobs(size: Size, progress: Progress) -> Sequence[Figure]:
    from benchmarks.jobs import run

    return run(size, progress)


def _analytics(size: Size, progress: Progress) -> Sequence[Figure]:
    from benchmarks.analytics import run

    return run(size, progress)


def _drafting(size: Size, progress: Progress) -> Sequence[Figure]:
    from benchmarks.drafting import run

    return run(size, progress)


def _faults(size: Size, progress: Progress) -> Sequence[Figure]:
    from benchmarks.faults import run

    return run(size, progress)


def _send(size: Size, progress: Progress) -> Sequence[Figure]:
    from benchmarks.send import run

    return run(size, progress)


def _live(size: Size, progress: Progress) -> Sequence[Figure]:
    from benchmarks.live import run

    return run(size, progress)


BENCHES = {
    "api": Bench("list requests over HTTP, beside their SQL and a minimal route", _api),
    "import": Bench("an import from upload to commit, beside a COPY of the same rows", _import),
    "jobs": Bench("the job engine: throughput beside a simple loop, lateness, fairness and rate limits", _jobs),
    "analytics": Bench(
        "provider rows, webhooks, daily builds and analytics endpoints, each beside a baseline", _analytics
    ),
    "drafting": Bench("drafts without tracing, and with Langfuse up, slow or gone", _drafting),
    "faults": Bench("workers killed at every line of the send path, and stops raced against the sender", _faults),
    "send": Bench("emails through the engine, beside a simple loop to the same sandbox, and their lateness", _send),
    "live": Bench("from a commit to its subscribers, beside a plain NOTIFY, and the cost of live queries", _live),
}
