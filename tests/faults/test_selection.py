"""The tests that are chosen for a fault, by a made-up recording."""

import json
from pathlib import Path

import pytest
from coverage import CoverageData

from faults import selection
from faults.fault import Fault
from faults.selection import Recording

SERVICE = """LIMIT = 3
TWICE = LIMIT * 2


def find():
    return 5


def count():
    return TWICE
"""
REPOSITORY = """_FIND = text(load_statement(__file__, "find_lead"))
_LIST = text(load_statement(__file__, "list_leads"))


def find():
    return _FIND


def list_all():
    return _LIST
"""
NEAR, FAR, SLOW, LONG = (
    "tests/api/people/leads/test_find.py::test_find",
    "tests/api/test_all.py::test_all",
    "tests/api/people/leads/test_find.py::test_slow",
    "tests/e2e/test_stack.py::test_stack",
)
COUNTING = "tests/api/people/leads/test_count.py::test_count"
NEW = "tests/api/people/leads/test_new.py::test_new"


@pytest.fixture
def tests(tmp_path: Path) -> selection.Tests:
    """Record five tests of a module with two functions; a sixth was written since then."""
    (tmp_path / "api/people/leads").mkdir(parents=True)
    (tmp_path / "api/people/leads/service.py").write_text(SERVICE)
    (tmp_path / "api/people/leads/repository.py").write_text(REPOSITORY)
    data = CoverageData(str(tmp_path / "coverage"))
    for test in (NEAR, FAR, SLOW, LONG):
        data.set_context(f"{test}|run")
        data.add_lines({"api/people/leads/service.py": [6]})
    data.set_context(f"{COUNTING}|run")
    data.add_lines({"api/people/leads/service.py": [10]})
    for test, line in ((FAR, 6), (COUNTING, 10)):
        data.set_context(f"{test}|run")
        data.add_lines({"api/people/leads/repository.py": [line]})
    data.write()
    durations = {NEAR: 1.0, FAR: 0.1, SLOW: 30.0, LONG: 0.1, COUNTING: 0.5}
    (tmp_path / "durations").write_text(json.dumps(durations))
    return selection.Tests(tmp_path, Recording(tmp_path / "coverage", tmp_path / "durations"))


def fault_in(place: str) -> Fault:
    """Return a fault in a function or constant of the module."""
    return Fault("api/people/leads", "api/people/leads/service.py", 1, place, "constant changed", "5", "6")


def test_tests_that_run_the_function_are_chosen(tests: selection.Tests) -> None:
    """Tests of the area come first, quick ones before slow ones; tests of other functions and of e2e are left out."""
    assert tests.select(fault_in("find"), seconds=100) == [NEAR, SLOW, FAR]


def test_tests_are_chosen_until_the_time_is_used(tests: selection.Tests) -> None:
    """A test that no longer fits is left out, and a quicker one after it is taken; one test is always chosen."""
    assert tests.select(fault_in("find"), seconds=1.1) == [NEAR, FAR]
    assert tests.select(fault_in("find"), seconds=0.01) == [NEAR]


def test_a_constant_is_noticed_by_the_tests_of_its_users(tests: selection.Tests) -> None:
    """A constant is run by no test: those of the function that uses it, through another constant, are chosen."""
    assert tests.select(fault_in("LIMIT"), seconds=100) == [COUNTING]


def test_tests_that_were_written_since_are_run_for_their_folder(tests: selection.Tests) -> None:
    """A test without a recording is run for a fault of its folder, as one of 0.3 seconds, and for no other."""
    tests.unrecorded = frozenset((NEW, "tests/api/people/lead_lists/test_new.py::test_new"))
    assert tests.select(fault_in("count"), seconds=100) == [NEW, COUNTING]


def test_a_statement_in_a_file_is_noticed_by_the_tests_of_its_users(tests: selection.Tests) -> None:
    """For a fault in a statement in `sql/`, the tests of the function that runs it are chosen."""
    fault = Fault("api/people/leads", "api/people/leads/sql/list_leads.sql", 1, "list_leads", "lock dropped", "a", "")
    assert tests.select(fault, seconds=100) == [COUNTING]
