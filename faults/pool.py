"""Tries faults in several processes at once, each with a server and a copy of the tree of its own."""

from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path

from faults.fault import Fault
from faults.slot import Result, Slot


def run(root: Path, work: Sequence[tuple[Fault, list[str]]], slots: int, seconds: float) -> Iterator[Result]:
    """Try faults in processes of their own and yield the results as they come."""
    context = get_context("spawn")
    waiting = list(reversed(work))
    busy: set[Connection] = set()
    processes = []
    for _ in range(min(slots, len(work))):
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(root, theirs, seconds))
        process.start()
        processes.append(process)
        theirs.close()
        ours.send(waiting.pop())
        busy.add(ours)
    while busy:
        for connection in wait(list(busy)):
            assert isinstance(connection, Connection)
            yield connection.recv()
            if waiting:
                connection.send(waiting.pop())
            else:
                connection.send(None)
                busy.remove(connection)
    for process in processes:
        process.join()


def _serve(root: Path, work: Connection, seconds: float) -> None:
    slot = Slot(root)
    try:
        while (task := work.recv()) is not None:
            fault, tests = task
            work.send(slot.run(fault, tests, 60 + 3 * seconds))
    finally:
        slot.close()
