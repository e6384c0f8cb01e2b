"""Which processes `salesmatter up` starts, and what they are told."""

import pytest
from sqlalchemy.engine import make_url

from salesmatter.stack import Database
from salesmatter.up import Wanted, parts_of

LINKED = ("SALESMATTER_DAGSTER_URL", "SALESMATTER_DBT_DOCS_URL")


@pytest.mark.parametrize(
    ("dagster_port", "docs_port", "expected"),
    [
        (3001, 8082, ["http://127.0.0.1:3001", "http://127.0.0.1:8082"]),
        (None, 8082, [None, "http://127.0.0.1:8082"]),
        (3001, None, ["http://127.0.0.1:3001", None]),
        (None, None, [None, None]),
    ],
)
def test_only_what_runs_is_linked(
    monkeypatch: pytest.MonkeyPatch, dagster_port: int | None, docs_port: int | None, expected: list[str | None]
) -> None:
    """The API is told the address of each part at the port it runs at, and none of a part that is left out."""
    for name in LINKED:
        monkeypatch.delenv(name, raising=False)
    url = make_url("postgresql+psycopg://owner@127.0.0.1:1/nowhere")
    parts = parts_of(Wanted("0.0.0.0", 8001, 8002, dagster_port, docs_port), Database(url, url))
    (api,) = [part.program for part in parts if part.program.name == "api"]
    assert [api.environment.get(name) for name in LINKED] == expected
