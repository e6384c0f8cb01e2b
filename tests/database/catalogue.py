"""Lists the schema that the migrations build, one object a line; `python -m tests.database.catalogue` writes the file.

`catalogue.txt` is that list. A migration changes the file as well, so that its diff shows what the migration does.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import Connection

from database.embedded import start
from database.migrate import migrate
from database.roles import connect, owner_url
from tests.database.catalogue_queries import QUERIES
from tests.postgres import create_database, new_home, remove_home

FILE = Path(__file__).with_name("catalogue.txt")
HEADER = "# The schema that the migrations build. `python -m tests.database.catalogue` writes this file."

_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One fact of the catalogue: of which object, what kind of fact, and the fact itself."""

    object: str
    kind: str
    details: str

    def __str__(self) -> str:
        return f"{self.object}: {self.kind} {self.details}".rstrip()


def entries(connection: Connection[Any]) -> list[Entry]:
    """Return what the catalogue says of every object that is not Postgres' own, sorted."""
    rows = (row for query in QUERIES for row in connection.execute(query))
    return sorted(Entry(name, kind, _one_line(details)) for name, kind, details in rows)


def listing(found: Iterable[Entry]) -> str:
    """Return the text of the file."""
    return "\n".join([HEADER, *map(str, found)]) + "\n"


def _one_line(text: str) -> str:
    """Return a definition in one line, without the lines of it that are comments."""
    return " ".join(_COMMENT.sub("", text).split())


def main() -> None:
    """Migrate an empty database on a server of its own and write what its catalogue says."""
    home = new_home()
    try:
        with start(home, durable=False) as server:
            owner = owner_url(create_database(server.url, "catalogue"))
            migrate(owner)
            with connect(owner) as connection:
                FILE.write_text(listing(entries(connection)), encoding="utf-8")
    finally:
        remove_home(home)


if __name__ == "__main__":
    main()
