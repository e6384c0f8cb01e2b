"""Has a sheet of an Excel workbook written as CSV by a process of its own, which can neither outgrow nor outlive us."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event
from typing import IO

from api.imports.files.decoding import CHUNK_BYTES, ReadingStopped
from api.imports.files.errors import UnreadableFile
from api.imports.files.sheets import REFUSED

MEMORY_BYTES = 3 * 1024**3
SECONDS = 120
"""A million rows of ten columns take 1 GB and 14 s."""
LOOK_SECONDS = 0.02


@contextmanager
def read_sheet_as_csv(
    source: IO[bytes],
    sheet: str | None,
    *,
    most_bytes: int,
    stop: Event,
    memory_bytes: int = MEMORY_BYTES,
    seconds: float = SECONDS,
) -> Iterator[IO[bytes]]:
    """Open a sheet of a workbook as CSV in UTF-8; raises UnreadableFile and Stopped."""
    with tempfile.NamedTemporaryFile(suffix=".xlsx") as copy, tempfile.TemporaryFile() as target:
        _copy(source, copy, most_bytes)
        command = [sys.executable, "-m", "api.imports.files.sheets", copy.name, str(most_bytes), str(memory_bytes)]
        command += [str(int(seconds) + 1), *([sheet] if sheet is not None else [])]
        code, said = _run(command, target, stop, seconds)
        if code == REFUSED:
            raise UnreadableFile(said)
        if code:
            raise UnreadableFile(
                "The workbook is damaged, or needs too much memory or time to read: save the sheet as CSV and upload "
                "that."
            )
        target.seek(0)
        yield target


def _copy(source: IO[bytes], target: IO[bytes], most_bytes: int) -> None:
    left = most_bytes
    while chunk := source.read(CHUNK_BYTES):
        left -= len(chunk)
        if left < 0:
            raise UnreadableFile(f"The file contains more than {most_bytes / 1024**2:,.0f} MB: split it.")
        target.write(chunk)
    target.flush()


def _run(command: Sequence[str], target: IO[bytes], stop: Event, seconds: float) -> tuple[int, str]:
    """Return how a process ended and what it said; it is killed when it takes too long or is no longer wanted."""
    # It is told where our code is and nothing else of our environment, in which there are secrets.
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, stdin=subprocess.DEVNULL, stdout=target, stderr=said, env=environment
        )
        try:
            for _ in range(int(seconds / LOOK_SECONDS)):
                if process.poll() is not None:
                    break
                if stop.wait(LOOK_SECONDS):
                    raise ReadingStopped
        finally:
            process.kill()
            code = process.wait()
        said.seek(0)
        return code, said.read().decode("utf-8", "replace")
