from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.databases import fresh_database
from benchmarks.errors import BenchmarkError
from benchmarks.imports import KNOWN, NEW, Workspace, compare_peak_memory, measure, start_workspace
from benchmarks.people_file import write_people
from database.roles import owner_url
from salesmatter.stack import Database

ROWS = 300


@pytest.fixture(scope="module")
def server(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The test run's server; keys go to a temporary directory."""
    url = owner_url(postgres_url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALESMATTER_HOME", str(tmp_path_factory.mktemp("home")))
        yield Database(url, url)


@pytest.fixture(scope="module")
def workspace(server: Database) -> Iterator[Workspace]:
    """A workspace of a running service."""
    with fresh_database(server) as database, start_workspace(database) as workspace:
        yield workspace


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A CSV file of people."""
    write_people(tmp_path / "people.csv", ROWS)
    return tmp_path / "people.csv"


def test_the_benchmark_measures_an_import(server: Database) -> None:
    """The service imports a file, both baselines copy its leads, and each figure has its target."""
    sentences: list[str] = []

    figures = {figure.figure: figure for figure in measure(server, ROWS, sentences.append)}

    assert {name: figure.target for name, figure in figures.items() if "memory" not in name} == {
        "upload": None,
        "preview": None,
        "commit": None,
        "upload + commit, beside COPY into leads": 2.5,
        "upload + commit, beside COPY into an unindexed table": None,
        "preview, beside the commit": 0.1,
        "upload of a file that is known": None,
        "preview of a file that is known": None,
        "commit of a file that is known": None,
    }
    assert all(figure.value > 0 for figure in figures.values())
    both = figures["upload + commit, beside COPY into leads"]
    assert both.value == figures["upload"].value + figures["commit"].value
    assert both.baseline not in {None, figures["upload + commit, beside COPY into an unindexed table"].baseline}
    assert figures["preview, beside the commit"].baseline == figures["commit"].value
    assert sentences[0] == "Importing 30 rows to measure their memory."


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
def test_every_process_has_its_own_memory(workspace: Workspace) -> None:
    """The memory of the API and of the worker are measured separately, and not that of their shells."""
    memory = workspace.service.peak_memory()

    assert set(memory) == {"api", "worker"}
    assert len({workspace.service.ids[name] for name in memory}) == 2
    assert all(megabytes > 50 for megabytes in memory.values())


def test_rows_with_another_outcome_are_an_error(workspace: Workspace, people: Path) -> None:
    """Rows with another outcome than expected raise an error."""
    counts = rf"\({ROWS}, 0, 0\) were read, previewed and committed as duplicateInWorkspace"
    with pytest.raises(BenchmarkError, match=counts):
        workspace.import_file(people, ROWS, KNOWN)


def test_a_refused_file_is_an_error(workspace: Workspace, tmp_path: Path) -> None:
    """A response that is no success raises an error with the service's message."""
    (tmp_path / "words.csv").write_text("Name,City\nThandi,Durban\n")

    with pytest.raises(
        BenchmarkError, match=r"POST /api/.*/imports returned 422: .*No column of the file contains email"
    ):
        workspace.import_file(tmp_path / "words.csv", 1, NEW)


@pytest.mark.parametrize(("small_rows", "target"), [(100_000, 1.25), (5_000, None)])
def test_the_memory_ratio_has_a_target_only_for_many_rows(small_rows: int, target: float | None) -> None:
    """A small file says nothing about memory growth; the limit in MB applies to every size."""
    figures = list(compare_peak_memory({"api": 300.0}, {"api": 200.0}, small_rows))

    assert [(figure.value, figure.baseline, figure.target) for figure in figures] == [
        (300.0, None, 600),
        (300.0, 200.0, target),
    ]
