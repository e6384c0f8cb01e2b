"""Decides which worker of a parallel run gets which tests, and when: the slow ones first, one file to one worker.

It is a pytest plugin: `tests/conftest.py` lists it in `pytest_plugins`.
"""

from typing import Any

import pytest

E2E = "tests/e2e/"
SLOW = (E2E, "tests/benchmarks/", "tests/orchestration/", "tests/dbt_project/", "tests/salesmatter/", "tests/api/jobs/")
"""The folders whose files take longest. Started last, they would keep one core busy while the others wait."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put slow files first; the order is random among those of a folder."""
    items.sort(key=lambda item: next((n for n, folder in enumerate(SLOW) if item.nodeid.startswith(folder)), len(SLOW)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Return a scheduler that gives all end-to-end tests to one worker, and each other file to one."""
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415 - pytest-xdist is not needed without -n

    class FileScheduling(LoadFileScheduling):  # type: ignore[misc] # it has no types
        def _split_scope(self, nodeid: str) -> str:
            # Each starts as many processes as two cores can run: two at once would wait for each other.
            return E2E if nodeid.startswith(E2E) else str(super()._split_scope(nodeid))

    config.option.loadscopereorder = False
    return FileScheduling(config, log)
