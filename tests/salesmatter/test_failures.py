import errno

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from api.http.errors import NotFound
from database.errors import SchemaOutOfDate
from everlytic.errors import MalformedDelivery
from salesmatter.errors import PortTaken
from salesmatter.failures import describe_error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (PortTaken("Port 1 is taken."), "Port 1 is taken."),
        (SchemaOutOfDate("Old."), "Old."),
        (NotFound("Gone."), "Gone."),
        (MalformedDelivery("Odd."), "Odd."),
        (
            OSError(errno.ENOSPC, "No space left on device", "/data/x"),
            "The disk is full (/data/x). Free some space and start again.",
        ),
        (
            OSError(errno.EDQUOT, "Disk quota exceeded"),
            "The disk is full. Free some space and start again.",
        ),
        (OSError("odd"), "Odd."),
        (
            psycopg.OperationalError(""),
            (
                "The connection to the database failed: no reason given. "
                "Check DATABASE_URL, and that the server is running."
            ),
        ),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/x"), "No such file or directory (/x)."),
        (
            OSError(errno.EADDRINUSE, "in use"),
            "A port is used by another program. Stop that program, or choose another port.",
        ),
        (
            OperationalError("SELECT 1", {}, psycopg.OperationalError("server closed the connection\nunexpectedly")),
            (
                "The connection to the database failed: server closed the connection. "
                "Check DATABASE_URL, and that the server is running."
            ),
        ),
        (
            psycopg.errors.DiskFull("could not extend file"),
            "The disk of the database is full. Free some space and start again.",
        ),
        (ExceptionGroup("tasks", [ValueError("ours"), SchemaOutOfDate("Old.")]), "Old."),
    ],
)
def test_expected_errors_have_a_sentence(error: Exception, sentence: str) -> None:
    """An error that a user can resolve is described in one sentence."""
    assert describe_error(error) == sentence


@pytest.mark.parametrize(
    "error",
    [
        *(ValueError("ours"), KeyError("ours"), AssertionError(), psycopg.ProgrammingError("ours")),
        *(OperationalError("SELECT 1", {}, ValueError("ours")), ExceptionGroup("tasks", [ValueError("ours")])),
    ],
)
def test_a_bug_keeps_its_traceback(error: Exception) -> None:
    """An unexpected error has no sentence."""
    assert describe_error(error) is None
