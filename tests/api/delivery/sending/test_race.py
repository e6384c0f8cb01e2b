"""Stops that commit while their mails are being claimed and called."""

from pathlib import Path

import pytest

from benchmarks.race import RaceResult, measure, summarize
from benchmarks.scratch_server import scratch_server

pytestmark = pytest.mark.timeout(120, func_only=True)

TRIES = 200
LATE, UNCLAIMED = "claims that committed after the stop", "calls without a claim"
SHAPED, UNHEARD = "of them a no in another shape", "addresses not suppressed after such a no"
WINDOW = "from a stop's commit to the latest start of a call"


def test_nothing_is_claimed_after_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stops of every kind and shape against a real worker: no claim commits after one, and each no is heard."""
    monkeypatch.setenv("SALESMATTER_HOME", str(tmp_path))

    with scratch_server() as server:
        found = {figure.figure: figure.value for figure in measure(server.database, TRIES, lambda _sentence: None)}

    assert found["stops raced against the sender"] == TRIES
    assert (found[SHAPED], found[UNHEARD]) == (TRIES / 10, 0), found
    assert (found[LATE], found[UNCLAIMED]) == (0, 0)
    assert found["of them stopped before any claim"] > 0
    assert found["of them sent before"] > 0


@pytest.mark.parametrize(
    ("one", "late", "unclaimed", "window"),
    [
        (RaceResult("1", stopped=10.0, is_claimed=True, claimed=9.0, called=9.5), 0, 0, 0),
        (RaceResult("2", stopped=10.0, is_claimed=True, claimed=9.9, called=10.03), 0, 0, 30),
        (RaceResult("3", stopped=10.0, is_claimed=False, claimed=9.9, called=None), 0, 0, 0),
        (RaceResult("4", stopped=10.0, is_claimed=True, claimed=10.1, called=10.2), 1, 0, 200),
        (RaceResult("4", stopped=10.0, is_claimed=False, claimed=10.1, called=None), 1, 0, 0),
        (RaceResult("5", stopped=10.0, is_claimed=False, claimed=None, called=10.2), 0, 1, 200),
        (RaceResult("6", stopped=None, is_claimed=True, claimed=9.0, called=9.5), 0, 0, 0),
    ],
)
def test_a_late_claim_or_call_would_be_seen(one: RaceResult, late: int, unclaimed: int, window: float) -> None:
    """The verdict tells what came before a stop from what came after it, and a claim that stayed from one withdrawn."""
    found = {figure.figure: figure.value for figure in summarize([one])}
    assert (found[LATE], found[UNCLAIMED]) == (late, unclaimed)
    assert found[WINDOW] == pytest.approx(window)


def test_a_no_that_is_not_heard_would_be_seen() -> None:
    """A no in another shape must suppress the address; a stop of another kind need not."""
    results = [
        RaceResult("1", stopped=10.0, is_claimed=False, claimed=None, called=None),
        RaceResult("2", stopped=10.0, is_claimed=False, claimed=None, called=None, shape="a complaint"),
        RaceResult(
            "3", stopped=10.0, is_claimed=False, claimed=None, called=None, shape="a complaint", is_suppressed=True
        ),
    ]
    found = {figure.figure: figure.value for figure in summarize(results)}
    assert (found[SHAPED], found[UNHEARD], found["not suppressed: a complaint"]) == (2, 1, 1)
