"""The benches by name: a new one is a file of its own, and an entry here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from benchmarks.figures import Figure

# A bench is imported when it runs: the list of benches must come at once.
# ruff: noqa: PLC0415

Size: TypeAlias = Literal["small", "full"]
"""`small` ends within a minute, with all that it sets up; `full` is what the targets are meant for."""
Say: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Bench:
    """What it measures, in a few words, and how; `run` sets up what it needs and takes it down. Raises StartError."""

    about: str
    run: Callable[[Size, Say], Sequence[Figure]]


def _api(size: Size, say: Say) -> Sequence[Figure]:
    from benchmarks.api import run

    return run(size, say)


def _import(size: Size, say: Say) -> Sequence[Figure]:
    from benchmarks.imports import run

    return run(size, say)


def _jobs(size: Size, say: Say) -> Sequence[Figure]:
    from benchmarks.jobs import run

    return run(size, say)


def _analytics(size: Size, say: Say) -> Sequence[Figure]:
    from benchmarks.analytics import run

    return run(size, say)


def _drafting(size: Size, say: Say) -> Sequence[Figure]:
    from benchmarks.drafting import run

    return run(size, say)


def _faults(size: Size, say: Say) -> Sequence[Figure]:
    from benchmarks.faults import run

    return run(size, say)


def _send(size: Size, say: Say) -> Sequence[Figure]:
    from benchmarks.send import run

    return run(size, say)


def _live(size: Size, say: Say) -> Sequence[Figure]:
    from benchmarks.live import run

    return run(size, say)


BENCHES = {
    "api": Bench("a list request over HTTP, beside the bare driver and a bare route", _api),
    "import": Bench("a file from upload to committed leads, beside a bare COPY of the same rows", _import),
    "jobs": Bench("the job engine: its pace beside a bare loop, its times, turns and rates", _jobs),
    "analytics": Bench(
        "provider rows, pushed events, builds and figures, each beside the least it could cost", _analytics
    ),
    "drafting": Bench("drafts without traces, and with a Langfuse that is up, slow or gone", _drafting),
    "faults": Bench("workers killed at every line of the send path, and stops raced against the sender", _faults),
    "send": Bench(
        "emails through the whole engine, beside a bare loop to the same sandbox, and how late they leave", _send
    ),
    "live": Bench("from a commit to those who subscribe, beside a bare NOTIFY, and what live queries cost", _live),
}
