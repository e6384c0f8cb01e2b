import io
from pathlib import Path

from salesmatter.log_stream import LogFiles, LogStream


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_each_line_names_its_process() -> None:
    """Lines of several processes can be told apart in a file too: the name comes first."""
    stream = io.StringIO()
    log = LogStream(stream)

    log.hear("api", "one")
    log.hear("worker", "two")

    assert stream.getvalue() == "api      | one\nworker   | two\n"


def test_a_process_keeps_its_colour() -> None:
    """On a terminal each process has a colour of its own."""
    stream = Terminal()
    log = LogStream(stream)

    for name in ("api", "worker", "api"):
        log.hear(name, "x")

    first, second, third = (line[:5] for line in stream.getvalue().splitlines())
    assert first == third != second


def test_a_reader_that_is_gone_is_no_reason_to_stop() -> None:
    """Somebody may pipe the log into `head`."""
    stream = io.StringIO()
    log = LogStream(stream)
    stream.close()

    log.hear("api", "x")


class Pipe(io.StringIO):
    """A pipe whose reader has gone away."""

    def write(self, _text: str, /) -> int:
        raise BrokenPipeError


def test_a_broken_pipe_is_no_reason_to_stop() -> None:
    """A line that nobody reads is lost, and the next one is tried."""
    log = LogStream(Pipe())

    log.hear("api", "x")
    log.hear("api", "y")


def test_a_ninth_process_has_the_first_colour() -> None:
    """There are eight colours: the eighth process has one of its own, the ninth shares the first's."""
    stream = Terminal()
    log = LogStream(stream)

    for number in range(9):
        log.hear(f"p{number}", "x")

    colours = [line.partition("m")[0] for line in stream.getvalue().splitlines()]
    assert len(set(colours)) == 8
    assert colours[8] == colours[0]


def test_a_line_after_the_end_is_lost(tmp_path: Path) -> None:
    """A reader's thread that is late finds its file closed, and that is no error."""
    with LogFiles(tmp_path, "demo") as files:
        files.hear("api", "last")
    files.hear("api", "late")

    assert (tmp_path / "demo-api.log").read_text() == "last\n"


def test_each_process_has_a_file(tmp_path: Path) -> None:
    """A new run writes its files anew."""
    for text in ("old", "new"):
        with LogFiles(tmp_path / "logs", "demo") as files:
            files.hear("api", text)
            files.hear("api", "more")

    assert (tmp_path / "logs" / "demo-api.log").read_text() == "new\nmore\n"
