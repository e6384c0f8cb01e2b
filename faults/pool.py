"""Tests faults in several processes at once, each with its own server and copy of the tree."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path

from faults.fault import Fault
from faults.runner import Result, Runner, Verdict
from faults.selection import Recording


def run(root: Path, recording: Recording, faults: Sequence[Fault], slots: int, seconds: float) -> Iterator[Result]:
    """Test faults in separate processes, and yield each result when it is known.

    A result comes a second time, as UNSOUND, where the test that caught the fault fails without it too.
    """
    context = get_context("spawn")
    waiting = list(reversed(faults))
    busy: set[Connection] = set()
    processes = []
    for _ in range(min(slots, len(faults))):
        parent_end, child_end = context.Pipe()
        process = context.Process(target=_serve, args=(root, recording, child_end, seconds))
        process.start()
        processes.append(process)
        child_end.close()
        parent_end.send(waiting.pop())
        busy.add(parent_end)
    caught: list[Result] = []
    while busy:
        for connection in wait(list(busy)):
            assert isinstance(connection, Connection)
            answer = connection.recv()
            if isinstance(answer, Result):
                yield answer
                caught += [answer] if answer.verdict is Verdict.CAUGHT else []
                connection.send(waiting.pop() if waiting else None)
            else:
                busy.remove(connection)
                yield from (replace(result, verdict=Verdict.UNSOUND) for result in caught if result.test in answer)
    for process in processes:
        process.join()


def _serve(root: Path, recording: Recording, work: Connection, seconds: float) -> None:
    slot = Runner(root, recording)
    try:
        caught: set[str] = set()
        while (fault := work.recv()) is not None:
            result = slot.run(fault, seconds)
            caught |= {result.test} - {""}
            work.send(result)
        work.send(slot.find_tests_that_fail(sorted(caught)))
    finally:
        slot.close()
