from pathlib import Path

import psycopg
import pytest

from benchmarks.api import Volume, measure
from benchmarks.rounds import Plan
from database.roles import owner_url
from salesmatter.stack import Database

TINY = Volume(1_000, Plan(2, 2, 1.0), Plan(1, 1, 1.0), repetitions=1, seconds=0.1)


@pytest.fixture
def database(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """An empty migrated database; keys and logs go to a temporary directory."""
    monkeypatch.setenv("SALESMATTER_HOME", str(tmp_path))
    url = owner_url(database_url)
    return Database(url, url)


def test_the_benchmark_measures_list_requests(database: Database, database_url: str) -> None:
    """The service and both baselines return the same leads, and each figure has its target."""
    sentences: list[str] = []

    figures = measure(database, TINY, sentences.append)

    assert [figure.target for figure in figures if figure.target] == [3.0, 1.6, 1.3, 1.3]
    assert [figure.figure.partition(",")[0] for figure in figures if figure.target] == [
        "list 50 leads",
        "list 50 leads",
        "list 50 leads by -createdAt",
        "list 50 leads by -updatedAt",
    ]
    assert all(figure.value > 0 for figure in figures)
    others = {"list 500 leads", "list 50 leads by free text with many hits", "create a lead"}
    assert others <= {figure.figure.partition(",")[0] for figure in figures}
    assert sentences[0].startswith("Writing 1,000 leads to test_")
    with psycopg.connect(database_url) as connection:
        counts = connection.execute("SELECT count(*) FROM app.leads GROUP BY workspace_id ORDER BY count(*)").fetchall()
    assert counts[0] == (100,)
    assert counts[1] > (1_000,), "new leads were created"
