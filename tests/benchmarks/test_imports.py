from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.databases import fresh_database
from benchmarks.errors import BenchFailed
from benchmarks.imports import KNOWN, NEW, Workspace, measure, new_workspace, peaks
from benchmarks.people_file import write_people
from database.roles import owner_url
from salesmatter.stack import Database

ROWS = 300


@pytest.fixture(scope="module")
def server(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The run's server, as a bench is given it; keys go to a folder of the test's."""
    url = owner_url(postgres_url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALESMATTER_HOME", str(tmp_path_factory.mktemp("home")))
        yield Database(url, url)


@pytest.fixture(scope="module")
def workspace(server: Database) -> Iterator[Workspace]:
    """A workspace of a service that runs."""
    with fresh_database(server) as database, new_workspace(database) as workspace:
        yield workspace


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A file of people."""
    write_people(tmp_path / "people.csv", ROWS)
    return tmp_path / "people.csv"


def test_it_measures_the_import_as_it_is(server: Database) -> None:
    """The real service imports, both baselines copy what came of it, and each figure is there with its target."""
    said: list[str] = []

    figures = {figure.figure: figure for figure in measure(server, ROWS, said.append)}

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
    assert said[0] == "Importing 30 rows, for their memory."


@pytest.mark.skipif(not Path("/proc").exists(), reason="the system does not tell")
def test_every_process_has_its_own_memory(workspace: Workspace) -> None:
    """The API and the worker are told apart, and neither is the shell that started it."""
    memory = workspace.service.peak_memory()

    assert set(memory) == {"api", "worker"}
    assert len({workspace.service.ids[name] for name in memory}) == 2
    assert all(megabytes > 50 for megabytes in memory.values())


def test_rows_that_come_to_something_else_are_no_figure(workspace: Workspace, people: Path) -> None:
    """Rows that were counted otherwise than expected end the bench, however fast they were."""
    counted = rf"committed as duplicateInWorkspace: \({ROWS}, 0, 0\)"
    with pytest.raises(BenchFailed, match=counted):
        workspace.bring_in(people, ROWS, KNOWN)


def test_a_file_that_is_refused_is_no_figure(workspace: Workspace, tmp_path: Path) -> None:
    """An answer that is not a success ends the bench, in a sentence with the service's own words."""
    (tmp_path / "words.csv").write_text("Name,City\nThandi,Durban\n")

    with pytest.raises(BenchFailed, match=r"POST /api/.*/imports answered 422: .*No column of the file holds email"):
        workspace.bring_in(tmp_path / "words.csv", 1, NEW)


@pytest.mark.parametrize(("fewer", "target"), [(100_000, 1.25), (5_000, None)])
def test_memory_is_held_against_that_of_many_rows_only(fewer: int, target: float | None) -> None:
    """A tenth of a small file says nothing about growth; the limit in MB stands for every size."""
    figures = list(peaks({"api": 300.0}, {"api": 200.0}, fewer))

    assert [(figure.value, figure.baseline, figure.target) for figure in figures] == [
        (300.0, None, 600),
        (300.0, 200.0, target),
    ]
