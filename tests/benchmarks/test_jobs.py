from collections.abc import Iterator
from datetime import timedelta

import pytest

from benchmarks.bare_queue import work_off
from benchmarks.errors import BenchFailed
from benchmarks.job_queue import Queue, fresh_queue, now, workers
from benchmarks.job_worker import NOOP, TIMED
from benchmarks.jobs import BARE, Load, measure
from benchmarks.rounds import Plan
from database.roles import owner_url
from salesmatter.stack import Database

TINY = Load(
    few=1_000,
    many=2_000,
    claims=Plan(rounds=1, each=1, seconds=5.0),
    turns=1,
    noops=200,
    trickle=20,
    trickle_seconds=0.4,
    flood=300,
    others=5,
    shared_seconds=0.5,
    enqueue_seconds=0.1,
)


@pytest.fixture(scope="module")
def server(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The run's server, as a bench is given it; keys go to a folder of the test's."""
    url = owner_url(postgres_url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALESMATTER_HOME", str(tmp_path_factory.mktemp("home")))
        yield Database(url, url)


@pytest.fixture
def queue(server: Database) -> Iterator[Queue]:
    """An empty queue."""
    with fresh_queue(server) as queue:
        yield queue


def test_it_measures_each_promise_of_the_engine(server: Database) -> None:
    """Real workers do real jobs of a migrated database, and each figure is there with its baseline and its target."""
    said: list[str] = []

    figures = measure(server, TINY, said.append)

    assert {figure.figure: (figure.baseline is not None, figure.target) for figure in figures} == {
        "a claim of 100 beside 2,000 future jobs, beside 1,000": (True, 1.2),
        "jobs by one worker, beside a bare loop": (True, 0.75),
        "jobs by one worker beside 2,000 future jobs, beside 1,000": (True, None),
        "from due to started, p50": (False, 20),
        "from due to started, p99": (False, 50),
        "jobs of 5 others done beside 300 of a workspace with a rate": (False, 2),
        "jobs of 5 others done beside 300 of a workspace without one": (False, 2),
        "most starts of 20 workspaces at 4 workers, beside the permitted": (True, 1),
        "fewest starts of 20 workspaces at 4 workers, beside the permitted": (True, 1),
        "enqueued by 16 writers, beside a bare INSERT in its place": (True, 0.8),
        "enqueued by 16 writers, beside the driver alone": (True, None),
    }
    assert all(figure.value > 0 for figure in figures)
    assert {figure.baseline for figure in figures if "starts" in figure.figure} == {10}
    assert said[0] == "Putting 1,000 jobs of the future on a queue."


def test_a_worker_tells_when_it_started_what_was_due(queue: Queue) -> None:
    """Each job is told of once, by how late it was; the first start and the last end are those of these jobs."""
    told: list[float] = []
    due = now() - timedelta(seconds=5)
    with workers(queue, 1, lambda _name, line: told.append(float(line))) as processes:
        workspaces = queue.add_workspaces(2)
        queue.put(workspaces, TIMED, 3, due)
        first, last = queue.wait_for(workspaces, 6, processes)
    assert len(told) == 6
    assert all(seconds >= 5 for seconds in told)
    assert due < first <= last <= now()


def test_starts_are_counted_from_each_workspaces_first(queue: Queue) -> None:
    """What started after the period is not counted, and no workspace's period is another's."""
    early, late = queue.add_workspaces(2)
    queue.put([early], NOOP, 8, now(), timedelta(seconds=1))
    queue.put([late], NOOP, 2, now() + timedelta(hours=1), timedelta(seconds=1))
    queue.connection.execute("UPDATE app.scheduled_jobs SET started_at = scheduled_for, status = 'completed'")

    assert sorted(queue.starts_within([early, late], timedelta(seconds=4.5))) == [2, 5]


def test_a_bare_loop_that_did_something_else_is_no_baseline(queue: Queue) -> None:
    """The loop completes what is due of its type; any other number ends the bench, however fast it was."""
    queue.put(queue.add_workspaces(1), BARE, 150, now())
    queue.put(queue.add_workspaces(1), BARE, 1, now() + timedelta(hours=1))
    assert work_off(queue.database.owner, BARE, 150) > 0

    with pytest.raises(BenchFailed, match="The bare loop completed 0 jobs of 150"):
        work_off(queue.database.owner, BARE, 150)


def test_what_was_measured_goes_and_what_waits_stays(queue: Queue) -> None:
    """Between two measurements the due jobs of a type are deleted, done or not; those of the future are kept."""
    (workspace,) = queue.add_workspaces(1)
    queue.put([workspace], NOOP, 3, now(), timedelta(hours=1))
    queue.put([workspace], TIMED, 1, now())

    queue.clear(NOOP, now())

    left = "SELECT job_type, count(*) FROM app.scheduled_jobs WHERE workspace_id = %s GROUP BY job_type"
    assert dict(queue.connection.execute(left, [workspace]).fetchall()) == {NOOP: 2, TIMED: 1}
