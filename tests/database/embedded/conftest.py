"""Home directories for embedded servers."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from database.embedded import start
from tests.postgres import new_home, remove_home


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty home."""
    home = new_home()
    yield home
    remove_home(home)


@pytest.fixture(scope="session")
def initialized_home() -> Iterator[Path]:
    """A home with a data directory, to be copied."""
    home = new_home()
    start(home, durable=False).stop()
    yield home
    remove_home(home)


@pytest.fixture
def home_with_data(home: Path, initialized_home: Path) -> Path:
    """A home with a data directory."""
    subprocess.run(["cp", "-a", f"{initialized_home}/.", str(home)], check=True)
    return home


@pytest.fixture
def hidden_home() -> Iterator[Path]:
    """The path of a home in a directory that only its owner can enter."""
    outer = new_home()
    outer.chmod(0o700)
    yield outer / "home"
    for location in outer.glob("*/place"):
        remove_home(location.parent)
    shutil.rmtree(outer)
