import asyncio
from collections.abc import Iterator
from threading import Event
from uuid import uuid4

import pytest

from api.http.parsing import ParserThreads

pytestmark = pytest.mark.anyio

NAMED, OTHER = uuid4(), uuid4()


@pytest.fixture
def threads() -> Iterator[ParserThreads]:
    """Four threads, of which one workspace uses two."""
    parsers = ParserThreads("test", 4)
    yield parsers
    parsers.close()


async def test_a_workspace_leaves_threads_to_the_others(threads: ParserThreads) -> None:
    """However many files of one workspace are slow, another one's file is parsed at once; the waiting ones follow."""
    started, go_on = [Event() for _ in range(8)], Event()

    def parse_slowly(number: int) -> int:
        started[number].set()
        go_on.wait(30)
        return number

    slow = [asyncio.create_task(threads.of(NAMED)(parse_slowly, number)) for number in range(8)]
    try:
        await asyncio.to_thread(started[0].wait, 30)
        await asyncio.to_thread(started[1].wait, 30)
        assert await threads.of(OTHER)(str.upper, "fast") == "FAST"
        assert [event.is_set() for event in started] == [True, True, *[False] * 6]
    finally:
        go_on.set()
    assert await asyncio.gather(*slow) == list(range(8))


async def test_a_cancelled_caller_keeps_its_place_until_its_thread_ends(threads: ParserThreads) -> None:
    """A caller that goes away does not free the thread that still works for it."""
    running, go_on = Event(), Event()

    def parse_slowly() -> None:
        running.set()
        go_on.wait(30)

    first = asyncio.create_task(threads.of(NAMED)(parse_slowly))
    await asyncio.to_thread(running.wait, 30)
    first.cancel()
    done, _ = await asyncio.wait({first}, timeout=0.05)
    assert not done
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await threads.of(NAMED)(str.upper, "next") == "NEXT"


async def test_an_error_of_a_parser_reaches_its_caller(threads: ParserThreads) -> None:
    """What a parser raises is raised, and its thread is free again."""
    for _ in range(5):
        with pytest.raises(ValueError, match="invalid literal"):
            await threads.of(NAMED)(int, "x")
