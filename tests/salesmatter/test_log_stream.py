import io
from pathlib import Path

from salesmatter.log_stream import LogFiles, LogStream


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_each_line_names_its_process() -> None:
    """Each line starts with the name of its process."""
    stream = io.StringIO()
    log = LogStream(stream)

    log.write_line("api", "one")
    log.write_line("worker", "two")

    assert stream.getvalue() == "api      | one\nworker   | two\n"


def test_a_process_keeps_its_colour() -> None:
    """On a terminal each process has its own colour."""
    stream = Terminal()
    log = LogStream(stream)

    for name in ("api", "worker", "api"):
        log.write_line(name, "x")

    first, second, third = (line[:5] for line in stream.getvalue().splitlines())
    assert first == third != second


def test_a_closed_stream_is_ignored() -> None:
    """A line to a closed stream is dropped without an error."""
    stream = io.StringIO()
    log = LogStream(stream)
    stream.close()

    log.write_line("api", "x")


class Pipe(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, _text: str, /) -> int:
        raise BrokenPipeError


def test_a_broken_pipe_is_ignored() -> None:
    """A line to a pipe without a reader, for example `| head`, is dropped without an error."""
    log = LogStream(Pipe())

    log.write_line("api", "x")
    log.write_line("api", "y")


def test_a_ninth_process_has_the_first_colour() -> None:
    """There are eight colours; the ninth process has the colour of the first."""
    stream = Terminal()
    log = LogStream(stream)

    for number in range(9):
        log.write_line(f"p{number}", "x")

    colours = [line.partition("m")[0] for line in stream.getvalue().splitlines()]
    assert len(set(colours)) == 8
    assert colours[8] == colours[0]


def test_a_line_after_the_end_is_dropped(tmp_path: Path) -> None:
    """A line that a reader thread writes after its file was closed is dropped without an error."""
    with LogFiles(tmp_path, "demo") as files:
        files.write_line("api", "last")
    files.write_line("api", "late")

    assert (tmp_path / "demo-api.log").read_text() == "last\n"


def test_each_process_has_a_file(tmp_path: Path) -> None:
    """A new run replaces the files of the last one."""
    for text in ("old", "new"):
        with LogFiles(tmp_path / "logs", "demo") as files:
            files.write_line("api", text)
            files.write_line("api", "more")

    assert (tmp_path / "logs" / "demo-api.log").read_text() == "new\nmore\n"
