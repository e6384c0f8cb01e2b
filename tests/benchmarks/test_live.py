import pytest

from benchmarks.change_log import WRITERS
from benchmarks.live import Volume, measured
from benchmarks.live_marks import mark, number_in
from benchmarks.live_subscribers import Subscriber
from database.roles import owner_url
from salesmatter.stack import Database

TINY = Volume((1, 4), 0.3, idle=10, turns=1, turn_seconds=0.1)
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(text: str) -> bytes:
    """A chunk as a server sends it."""
    return f"{len(text):x}\r\n{text}\r\n".encode()


def event(number: int) -> bytes:
    """An event as a stream sends it, of a list whose newest lead has a commit's mark."""
    return chunk(f'id: "abc"\ndata: {{"items":[{{"id":"1","company":"{mark(number)}","role":"Marked"}}]}}\n\n')


def test_it_measures_live_queries_as_they_are(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every figure is there, with its baseline and its target."""
    monkeypatch.setenv("SALESMATTER_HOME", str(tmp_path_factory.mktemp("home")))
    url = owner_url(postgres_url)
    said: list[str] = []

    figures = {one.figure: one for one in measured(Database(url, url), TINY, said.append)}

    for crowd in ("1 subscriber", "4 subscribers"):
        beside = [figures[f"commit to event, {crowd}, p{p}, beside a bare NOTIFY"] for p in (50, 95, 99)]
        assert [one.value for one in beside] == sorted(one.value for one in beside)
        assert all(one.baseline for one in beside)
    assert figures["commit to event, 4 subscribers, p95"].target == 30
    assert figures["commit to event, 4 subscribers: missed or sent twice"].target == 0
    asked = figures["asked for each commit, 4 identical subscribers, beside one"]
    assert asked.target == 1
    assert asked.baseline
    logged = [one for name, one in figures.items() if name.startswith(f"written by {WRITERS}")]
    assert [one.target for one in logged] == [0.9, 0.9, None]
    assert all(one.value and one.baseline for one in logged)
    assert figures["memory of the api with 10 idle subscriptions"].target == 500
    assert len(said) == len(TINY.crowds) + 5


@pytest.mark.parametrize(("text", "number"), [(event(17), 17), (chunk(": alive\n\n"), None), (b"", None)])
def test_a_commit_is_known_by_its_mark(text: bytes, number: int | None) -> None:
    """What brings no mark is of no commit."""
    assert number_in(text) == number


@pytest.mark.anyio
async def test_what_was_committed_before_is_not_counted() -> None:
    """The first event is no news, a heartbeat is none either, and an event that comes in pieces is noted once whole."""
    noted: list[tuple[int, int]] = []
    subscriber = Subscriber(b"", noted)

    for part in (HEAD, chunk("retry: 2000\n\n")):
        subscriber.data_received(part)
    assert not subscriber.first.done()
    subscriber.data_received(event(1))
    assert subscriber.first.done()
    assert noted == []
    for part in (chunk(": alive\n\n"), event(2)[:40], event(2)[40:]):
        subscriber.data_received(part)

    assert [number for number, _ in noted] == [2]


@pytest.mark.anyio
async def test_a_refused_subscription_says_why() -> None:
    """Who waits for the first event of a stream that is none is told what was answered instead."""
    subscriber = Subscriber(b"", [])

    subscriber.data_received(b"HTTP/1.1 401 Unauthorized\r\n\r\n")
    subscriber.connection_lost(None)

    with pytest.raises(ConnectionError, match="401 Unauthorized"):
        await subscriber.first
