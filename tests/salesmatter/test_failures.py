import errno

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from api.http.errors import NotFound
from database.errors import SchemaOutOfDate
from everlytic.errors import MalformedDelivery
from salesmatter.errors import PortTaken
from salesmatter.failures import sentence_for


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (PortTaken("Port 1 is taken."), "Port 1 is taken."),
        (SchemaOutOfDate("Old."), "Old."),
        (NotFound("Gone."), "Gone."),
        (MalformedDelivery("Odd."), "Odd."),
        (
            OSError(errno.ENOSPC, "No space left on device", "/data/x"),
            "The disk is full (/data/x); nothing more can be written. Make room and start again.",
        ),
        (
            OSError(errno.EDQUOT, "Disk quota exceeded"),
            "The disk is full; nothing more can be written. Make room and start again.",
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
            "A port is taken by another program; end that program, or choose another port.",
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
            "The disk of the database is full; nothing more can be stored. Make room and start again.",
        ),
        (ExceptionGroup("tasks", [ValueError("ours"), SchemaOutOfDate("Old.")]), "Old."),
    ],
)
def test_foreseen_failures_have_a_sentence(error: Exception, sentence: str) -> None:
    """What a person can do something about is told in one sentence."""
    assert sentence_for(error) == sentence


@pytest.mark.parametrize(
    "error",
    [
        *(ValueError("ours"), KeyError("ours"), AssertionError(), psycopg.ProgrammingError("ours")),
        *(OperationalError("SELECT 1", {}, ValueError("ours")), ExceptionGroup("tasks", [ValueError("ours")])),
    ],
)
def test_a_mistake_of_ours_keeps_its_traceback(error: Exception) -> None:
    """What nobody foresaw is not dressed up."""
    assert sentence_for(error) is None
