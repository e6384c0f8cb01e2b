"""Faults that are put into modules that are already imported."""

import asyncio
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from faults.memory import plant

SOURCE = """
import functools


def double(call):
    @functools.wraps(call)
    def wrapper(*args):
        return 2 * call(*args)
    return wrapper


def letters():
    return [*first_letter(), "b"]


def first_letter():
    return ["a"]


LETTERS = letters()
LIMIT = 10
TWICE = LIMIT * 2
SHARED = [30]
RENAMED = [31]


def bound():
    return TWICE


def add(a, b=1):
    return a + b


async def wait():
    return 40


@double
def decorated():
    return 50


class Sample:
    size = 60

    def method(self):
        return 70

    @property
    def readable(self):
        return 80

    @classmethod
    def build(cls):
        return 90

    @property
    def writable(self):
        return self._value

    @writable.setter
    def writable(self, value):
        self._value = value + 100
"""


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Import a made-up module, and another that takes one of its constants."""
    folder = tmp_path / "planted"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "sample.py").write_text(SOURCE)
    (folder / "user.py").write_text("from planted.sample import RENAMED as OTHER, SHARED\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("planted.user")
    yield sys.modules["planted.sample"]
    for name in ("planted", "planted.sample", "planted.user"):
        del sys.modules[name]


def plant_change(before: str, after: str) -> bool:
    """Plant the one change in the made-up module."""
    assert SOURCE.count(before) == 1
    return plant("planted/sample.py", SOURCE, SOURCE.replace(before, after))


def test_the_body_of_any_function_is_replaced(sample: ModuleType) -> None:
    """A function, a coroutine, a decorated function, a method, a property and a class method run the faulty code."""
    add = sample.add
    assert plant_change("a + b", "a - b")
    assert add(5) == 4
    assert plant_change("return 40", "return 41")
    assert asyncio.run(sample.wait()) == 41
    assert plant_change("return 50", "return 51")
    assert sample.decorated() == 102
    instance = sample.Sample()
    assert plant_change("return 70", "return 71")
    assert instance.method() == 71
    assert plant_change("return 80", "return 81")
    assert instance.readable == 81
    assert plant_change("return 90", "return 91")
    assert sample.Sample.build() == 91


def test_a_constant_is_replaced_with_what_depends_on_it(sample: ModuleType) -> None:
    """A changed constant changes the constants that are made of it, and what functions read."""
    assert plant_change("LIMIT = 10", "LIMIT = 11")
    assert (sample.LIMIT, sample.TWICE, sample.bound()) == (11, 22, 22)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("b=1", "b=2"),
        ("[30]", "[32]"),
        ("[31]", "[32]"),
        ('["a"]', '["c"]'),
        ("size = 60", "size = 61"),
        ("@double\n", ""),
        ("return self._value", "return self._value + 1"),
        ("value + 100", "value + 101"),
        ("LIMIT = 10", "LIMIT = 10\nOTHER = 1"),
    ],
    ids=[
        "default",
        "imported constant",
        "constant imported under another name",
        "function that a constant is made by",
        "class body",
        "decorator",
        "getter",
        "setter",
        "statement",
    ],
)
def test_what_cannot_be_planted_in_memory_is_refused(sample: ModuleType, before: str, after: str) -> None:
    """Defaults, imported constants, what ran at import, class bodies, decorators and setters are refused unchanged."""
    assert not plant_change(before, after)
    instance = sample.Sample()
    instance.writable = 1
    assert (sample.add(1), sample.SHARED, sample.Sample.size, instance.writable) == (2, [30], 60, 101)


def test_a_module_that_is_not_imported_is_refused() -> None:
    """A fault in a module that was never imported is not planted in memory."""
    assert not plant("planted/absent.py", "A = 1\n", "A = 2\n")
