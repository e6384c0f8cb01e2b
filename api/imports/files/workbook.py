"""Converts a sheet of an Excel workbook to CSV in a separate process with limits on memory and time."""

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
POLL_SECONDS = 0.02


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
    """Open a sheet of a workbook as CSV in UTF-8; raises UnreadableFile and ReadingStopped."""
    with tempfile.NamedTemporaryFile(suffix=".xlsx") as copy, tempfile.TemporaryFile() as target:
        _copy(source, copy, most_bytes)
        command = [sys.executable, "-m", "api.imports.files.sheets", copy.name, str(most_bytes), str(memory_bytes)]
        command += [str(int(seconds) + 1), *([sheet] if sheet is not None else [])]
        code, message = _run(command, target, stop, seconds)
        if code == REFUSED:
            raise UnreadableFile(message)
        if code:
            raise UnreadableFile(
                "The workbook is damaged, or reading it needs too much memory or time. Save the sheet as CSV and "
                "upload the CSV file."
            )
        target.seek(0)
        yield target


def _copy(source: IO[bytes], target: IO[bytes], most_bytes: int) -> None:
    left = most_bytes
    while chunk := source.read(CHUNK_BYTES):
        left -= len(chunk)
        if left < 0:
            raise UnreadableFile(f"The file contains more than {most_bytes / 1024**2:,.0f} MB. Split it.")
        target.write(chunk)
    target.flush()


def _run(command: Sequence[str], target: IO[bytes], stop: Event, seconds: float) -> tuple[int, str]:
    """Return the exit code of a process and its standard error; it is killed on timeout and when `stop` is set."""
    # It gets only the path of our code, because the environment contains secrets.
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, stdin=subprocess.DEVNULL, stdout=target, stderr=errors, env=environment
        )
        try:
            for _ in range(int(seconds / POLL_SECONDS)):
                if process.poll() is not None:
                    break
                if stop.wait(POLL_SECONDS):
                    raise ReadingStopped
        finally:
            process.kill()
            code = process.wait()
        errors.seek(0)
        return code, errors.read().decode("utf-8", "replace")
