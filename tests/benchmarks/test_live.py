import pytest

from benchmarks.change_log import WRITERS
from benchmarks.live import Volume, measure
from benchmarks.live_marks import find_number, make_mark
from benchmarks.live_subscribers import Subscriber
from database.roles import owner_url
from salesmatter.stack import Database

TINY = Volume((1, 4), 0.3, idle=10, repetitions=1, repetition_seconds=0.1)
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(text: str) -> bytes:
    """Return an HTTP chunk."""
    return f"{len(text):x}\r\n{text}\r\n".encode()


def event(number: int) -> bytes:
    """Return an event of a list whose newest lead has the mark of a commit."""
    return chunk(f'id: "abc"\ndata: {{"items":[{{"id":"1","company":"{make_mark(number)}","role":"Marked"}}]}}\n\n')


def test_the_benchmark_measures_live_queries(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each figure has its baseline and target."""
    monkeypatch.setenv("SALESMATTER_HOME", str(tmp_path_factory.mktemp("home")))
    url = owner_url(postgres_url)
    sentences: list[str] = []

    figures = {figure.figure: figure for figure in measure(Database(url, url), TINY, sentences.append)}

    for subscribers in ("1 subscriber", "4 subscribers"):
        latencies = [figures[f"commit to event, {subscribers}, p{p}, beside a bare NOTIFY"] for p in (50, 95, 99)]
        assert [figure.value for figure in latencies] == sorted(figure.value for figure in latencies)
        assert all(figure.baseline for figure in latencies)
    assert figures["commit to event, 4 subscribers, p95"].target == 30
    assert figures["commit to event, 4 subscribers: missed or sent twice"].target == 0
    runs = figures["query runs per commit, 4 identical subscribers, beside one"]
    assert runs.target == 1
    assert runs.baseline
    logged = [figure for name, figure in figures.items() if name.startswith(f"written by {WRITERS}")]
    assert [figure.target for figure in logged] == [0.9, 0.9, None]
    assert all(figure.value and figure.baseline for figure in logged)
    assert figures["memory of the api with 10 idle subscriptions"].target == 500
    assert len(sentences) == len(TINY.subscribers) + 5


@pytest.mark.parametrize(("text", "number"), [(event(17), 17), (chunk(": alive\n\n"), None), (b"", None)])
def test_a_commit_is_recognized_by_its_mark(text: bytes, number: int | None) -> None:
    """An event without a mark belongs to no commit."""
    assert find_number(text) == number


@pytest.mark.anyio
async def test_only_events_after_the_first_are_recorded() -> None:
    """The first event and heartbeats are not recorded; an event in several parts is recorded when complete."""
    recorded: list[tuple[int, int]] = []
    subscriber = Subscriber(b"", recorded)

    for part in (HEAD, chunk("retry: 2000\n\n")):
        subscriber.data_received(part)
    assert not subscriber.first.done()
    subscriber.data_received(event(1))
    assert subscriber.first.done()
    assert recorded == []
    for part in (chunk(": alive\n\n"), event(2)[:40], event(2)[40:]):
        subscriber.data_received(part)

    assert [number for number, _ in recorded] == [2]


@pytest.mark.anyio
async def test_a_refused_subscription_raises_the_response() -> None:
    """The wait for the first event of a refused stream fails with the response."""
    subscriber = Subscriber(b"", [])

    subscriber.data_received(b"HTTP/1.1 401 Unauthorized\r\n\r\n")
    subscriber.connection_lost(None)

    with pytest.raises(ConnectionError, match="401 Unauthorized"):
        await subscriber.first
