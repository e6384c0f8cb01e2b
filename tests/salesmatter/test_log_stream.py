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


def test_each_process_has_a_file(tmp_path: Path) -> None:
    """A new run writes its files anew."""
    for text in ("old", "new"):
        with LogFiles(tmp_path / "logs", "demo") as files:
            files.hear("api", text)
            files.hear("api", "more")

    assert (tmp_path / "logs" / "demo-api.log").read_text() == "new\nmore\n"
