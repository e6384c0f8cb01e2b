"""What many processes write: in one stream, each line with its process's name and colour, or in one file each."""

import sys
import threading
from pathlib import Path
from typing import Self, TextIO

COLOURS = (36, 32, 33, 35, 34, 31, 96, 92)
NAME_WIDTH = 9


class LogStream:
    """Writes lines with a prefix; from any thread."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._turn = threading.Lock()
        self._colours: dict[str, int] = {}
        self._coloured = self._stream.isatty()

    def hear(self, name: str, line: str) -> None:
        """Write one line of the named process; a reader that has gone away is no reason to stop."""
        prefix = f"{name:<{NAME_WIDTH}}|"
        if self._coloured:
            colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        with self._turn:
            try:
                self._stream.write(f"{prefix} {line}\n")
                self._stream.flush()
            except (BrokenPipeError, ValueError):
                return


class LogFiles:
    """Writes the lines of each process to `folder`/`prefix`-<name>.log, anew each time; a context manager."""

    def __init__(self, folder: Path, prefix: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._prefix = folder, prefix
        self._turn = threading.Lock()
        self._files: dict[str, TextIO] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._turn:
            for file in self._files.values():
                file.close()

    def hear(self, name: str, line: str) -> None:
        """Write one line of the named process."""
        with self._turn:
            file = self._files.get(name)
            if file is None:
                path = self._folder / f"{self._prefix}-{name}.log"
                file = self._files[name] = path.open("w", encoding="utf-8", buffering=1)
            if not file.closed:
                file.write(line + "\n")
