from collections.abc import Iterator
from datetime import timedelta

import pytest

from benchmarks.bare_queue import process_jobs
from benchmarks.errors import BenchmarkError
from benchmarks.job_queue import Queue, current_time, fresh_queue, run_workers
from benchmarks.job_worker import NOOP_JOB, TIMED_JOB
from benchmarks.jobs import BASELINE_JOB, Load, measure
from benchmarks.rounds import Plan
from database.roles import owner_url
from salesmatter.stack import Database

TINY = Load(
    few=1_000,
    many=2_000,
    claims=Plan(rounds=1, each=1, seconds=5.0),
    repetitions=1,
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
    """The test run's server; keys go to a temporary directory."""
    url = owner_url(postgres_url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALESMATTER_HOME", str(tmp_path_factory.mktemp("home")))
        yield Database(url, url)


@pytest.fixture
def queue(server: Database) -> Iterator[Queue]:
    """An empty queue."""
    with fresh_queue(server) as queue:
        yield queue


def test_the_benchmark_measures_the_job_engine(server: Database) -> None:
    """Workers run jobs of a migrated database, and each figure has its baseline and target."""
    sentences: list[str] = []

    figures = measure(server, TINY, sentences.append)

    assert {figure.figure: (figure.baseline is not None, figure.target) for figure in figures} == {
        "a claim of 100 beside 2,000 future jobs, beside 1,000": (True, 1.2),
        "jobs by one worker, beside a bare loop": (True, 0.75),
        "jobs by one worker beside 2,000 future jobs, beside 1,000": (True, None),
        "from due to started, p50": (False, 20),
        "from due to started, p99": (False, 50),
        "jobs of 5 others done beside 300 of a workspace with a rate limit": (False, 2),
        "jobs of 5 others done beside 300 of a workspace without one": (False, 2),
        "most starts of 20 workspaces at 4 workers, beside the permitted": (True, 1),
        "fewest starts of 20 workspaces at 4 workers, beside the permitted": (True, 1),
        "enqueued by 16 writers, beside a bare INSERT in its place": (True, 0.8),
        "enqueued by 16 writers, beside the driver alone": (True, None),
    }
    assert all(figure.value > 0 for figure in figures)
    assert {figure.baseline for figure in figures if "starts" in figure.figure} == {10}
    assert sentences[0] == "Adding 1,000 future jobs to a queue."


def test_a_worker_prints_how_late_each_job_started(queue: Queue) -> None:
    """The lateness of each job is printed once; the first start and the last end are those of these jobs."""
    lateness: list[float] = []
    due = current_time() - timedelta(seconds=5)
    with run_workers(queue, 1, lambda _name, line: lateness.append(float(line))) as processes:
        workspaces = queue.add_workspaces(2)
        queue.add_jobs(workspaces, TIMED_JOB, 3, due)
        first, last = queue.wait_until_completed(workspaces, 6, processes)
    assert len(lateness) == 6
    assert all(seconds >= 5 for seconds in lateness)
    assert due < first <= last <= current_time()


def test_starts_are_counted_from_each_workspaces_first(queue: Queue) -> None:
    """A start after the period is not counted, and each workspace has its own period."""
    early, late = queue.add_workspaces(2)
    queue.add_jobs([early], NOOP_JOB, 8, current_time(), timedelta(seconds=1))
    queue.add_jobs([late], NOOP_JOB, 2, current_time() + timedelta(hours=1), timedelta(seconds=1))
    queue.connection.execute("UPDATE app.scheduled_jobs SET started_at = scheduled_for, status = 'completed'")

    assert sorted(queue.count_starts([early, late], timedelta(seconds=4.5))) == [2, 5]


def test_a_loop_with_another_number_of_jobs_is_an_error(queue: Queue) -> None:
    """The loop completes the due jobs of its type; another number of jobs is a BenchmarkError."""
    queue.add_jobs(queue.add_workspaces(1), BASELINE_JOB, 150, current_time())
    queue.add_jobs(queue.add_workspaces(1), BASELINE_JOB, 1, current_time() + timedelta(hours=1))
    assert process_jobs(queue.database.owner, BASELINE_JOB, 150) > 0

    with pytest.raises(BenchmarkError, match="The loop completed 0 of 150 jobs"):
        process_jobs(queue.database.owner, BASELINE_JOB, 150)


def test_only_due_jobs_are_deleted(queue: Queue) -> None:
    """Between two measurements the due jobs of a type are deleted, whatever their status; future jobs are not."""
    (workspace,) = queue.add_workspaces(1)
    queue.add_jobs([workspace], NOOP_JOB, 3, current_time(), timedelta(hours=1))
    queue.add_jobs([workspace], TIMED_JOB, 1, current_time())

    queue.delete_jobs(NOOP_JOB, current_time())

    remaining = "SELECT job_type, count(*) FROM app.scheduled_jobs WHERE workspace_id = %s GROUP BY job_type"
    assert dict(queue.connection.execute(remaining, [workspace]).fetchall()) == {NOOP_JOB: 2, TIMED_JOB: 1}
