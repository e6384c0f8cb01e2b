"""Writes the output of several processes to one stream with prefixes, or to one file per process."""

import sys
import threading
from pathlib import Path
from typing import Self, TextIO

COLOURS = (36, 32, 33, 35, 34, 31, 96, 92)
NAME_WIDTH = 9


class LogStream:
    """Writes lines to one stream, each with the name and colour of its process; thread-safe."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._lock = threading.Lock()
        self._colours: dict[str, int] = {}
        self._has_colours = self._stream.isatty()

    def write_line(self, name: str, line: str) -> None:
        """Write one line of the named process; the line is dropped if the stream's reader has gone."""
        prefix = f"{name:<{NAME_WIDTH}}|"
        if self._has_colours:
            colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        with self._lock:
            try:
                self._stream.write(f"{prefix} {line}\n")
                self._stream.flush()
            except (BrokenPipeError, ValueError):
                return


class LogFiles:
    """Context manager that writes the lines of each process to `folder`/`prefix`-<name>.log, replacing old files."""

    def __init__(self, folder: Path, prefix: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._prefix = folder, prefix
        self._lock = threading.Lock()
        self._files: dict[str, TextIO] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            for file in self._files.values():
                file.close()

    def write_line(self, name: str, line: str) -> None:
        """Write one line of the named process."""
        with self._lock:
            file = self._files.get(name)
            if file is None:
                path = self._folder / f"{self._prefix}-{name}.log"
                file = self._files[name] = path.open("w", encoding="utf-8", buffering=1)
            if not file.closed:
                file.write(line + "\n")
