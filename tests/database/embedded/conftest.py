"""Homes for embedded servers."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from database.embedded import start
from tests.postgres import new_home, remove_home


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty home for one server."""
    home = new_home()
    yield home
    remove_home(home)


@pytest.fixture(scope="session")
def pattern() -> Iterator[Path]:
    """A home whose data is made, to be copied."""
    home = new_home()
    start(home, durable=False).stop()
    yield home
    remove_home(home)


@pytest.fixture
def made(home: Path, pattern: Path) -> Path:
    """A home of its own whose data is made."""
    subprocess.run(["cp", "-a", f"{pattern}/.", str(home)], check=True)
    return home


@pytest.fixture
def hidden() -> Iterator[Path]:
    """A directory that nobody but its owner can enter, and a home name in it."""
    outer = new_home()
    outer.chmod(0o700)
    yield outer / "home"
    for note in outer.glob("*/place"):
        remove_home(note.parent)
    shutil.rmtree(outer)
