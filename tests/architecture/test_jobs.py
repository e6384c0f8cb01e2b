"""Jobs are put on the queue by name: every name that is enqueued is a task that the worker does."""

import ast
import inspect
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from api.settings import ApiSettings
from api.tasks import tasks
from tests import ROOT
from tests.architecture.tree import PACKAGES, Source, called, imported_names, parse, sources

ENQUEUE = {f"database.jobs.{name}" for name in ("enqueue", "enqueue_from_select", "enqueue_stops")}
TASKS = tasks(ApiSettings(secret_key=SecretStr("a key of the tests")))


def enqueued(source: Source) -> Iterator[tuple[str, str]]:
    """Return each job type that a file enqueues, with where; raises AssertionError for one that is not a constant."""
    for name, call in called(source):
        if name in ENQUEUE:
            place = f"{source.path}:{call.lineno}"
            given = dict(enumerate(call.args)).get(1) or next(
                (keyword.value for keyword in call.keywords if keyword.arg == "job_type"), None
            )
            types = _texts(given, source) if given is not None else []
            assert types, f"{place}: the job type must be a text, or a constant that holds one"
            yield from ((one, place) for one in types)


def _texts(node: ast.expr, source: Source) -> list[str]:
    """Return the texts an expression stands for: its own, a constant's, or those that a loop takes from a constant."""
    match node:
        case ast.Constant(value=str() as text):
            return [text]
        case ast.Tuple(elts=elements):
            return [text for element in elements for text in _texts(element, source)]
        case ast.Name(id=name):
            return _texts_of(name, source)
    return []


def _texts_of(name: str, source: Source) -> list[str]:
    for statement in ast.walk(source.tree):
        if isinstance(statement, ast.Assign) and _is_named(statement.targets[0], name):
            return _texts(statement.value, source)
        if isinstance(statement, ast.For) and _is_named(statement.target, name):
            return _texts(statement.iter, source)
    module, _, constant = imported_names(source).get(name, "").rpartition(".")
    path = f"{module.replace('.', '/')}.py"
    if not module or not (ROOT / path).exists():
        return []
    return _texts_of(constant, parse(path, (ROOT / path).read_text(encoding="utf-8")))


def _is_named(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def test_every_job_that_is_enqueued_has_a_task() -> None:
    """No job waits for ever because the worker knows no task of its name."""
    known = {task.job_type for task in TASKS}
    unknown = [
        f"{place}: {job_type}"
        for source in sources(*PACKAGES)
        for job_type, place in enqueued(source)
        if job_type not in known
    ]
    assert unknown == []


def test_every_task_is_enqueued() -> None:
    """The worker has no lane without a service that enqueues its jobs."""
    found = {job_type for source in sources(*PACKAGES) for job_type, _ in enqueued(source)}
    assert {task.job_type for task in TASKS if task.every is None} - found == set()


def test_every_task_is_a_coroutine_of_a_room() -> None:
    """A task is named after its job type once, and does its work in a room's tasks.py."""
    assert len({task.job_type for task in TASKS}) == len(TASKS)
    for task in TASKS:
        assert inspect.iscoroutinefunction(task.run)
        assert task.run.__name__ == task.job_type
        assert task.run.__module__.startswith("api.")
        assert task.run.__module__.endswith(".tasks")


def test_an_unknown_name_is_found() -> None:
    """The reading above can fail: names are followed through constants and loops, and anything else is refused."""
    text = "from database import jobs\nKINDS = ('send_email', 'no_such_task')\n"
    loop = parse(
        "x.py", f"{text}async def go(s, w):\n    for kind in KINDS:\n        await jobs.enqueue(s, kind, w, [])\n"
    )
    assert [job_type for job_type, _ in enqueued(loop)] == ["send_email", "no_such_task"]
    made = parse("x.py", f"{text}async def go(s, w, kind):\n    await jobs.enqueue(s, kind, w, [])\n")
    with pytest.raises(AssertionError, match="must be a text"):
        list(enqueued(made))
