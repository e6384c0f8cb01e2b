"""The folders of the API stay few, and their imports short and without circles."""

import pytest

from tests.architecture.structure import read_structure, structure_of
from tests.architecture.tree import PACKAGES, parse

MOST_BOXES, MOST_ARROWS, MOST_LEVELS = 35, 140, 14


def test_the_api_stays_within_its_structure() -> None:
    """The API has at most 35 boxes, 140 arrows and 14 levels, and no folder imports itself through others."""
    api = read_structure("api")
    assert api.cycle == ()
    assert len(api.boxes) <= MOST_BOXES, sorted(api.boxes)
    assert api.arrows <= MOST_ARROWS, api.boxes
    assert api.levels <= MOST_LEVELS, api.chain


@pytest.mark.parametrize("package", sorted({*PACKAGES, "benchmarks", "faults"} - {"api", "orchestration"}))
def test_no_other_package_has_a_cycle(package: str) -> None:
    """No folder or file of a package imports itself through others."""
    assert read_structure(package).cycle == ()


def test_boxes_arrows_and_levels_are_counted() -> None:
    """A folder is one box for all its files, two imports between two boxes are one arrow, and a chain gives levels."""
    files = (
        parse("api/__init__.py", '"""The package."""\n'),
        parse("api/app.py", "from api.a import x\nfrom api.a.y import z\nimport json\n\nprint(x, z, json)\n"),
        parse("api/a/x.py", "from api.a import y\nfrom api.b.c.x import go\n\nprint(y, go)\n"),
        parse("api/a/y.py", "z = 1\nw = 2\n"),
        parse("api/b/c/x.py", "import os\n\n\ndef go() -> None:\n    print(os)\n"),
    )
    found = structure_of("api", files)
    assert found.boxes == {
        "api/app.py": frozenset({"api/a/"}),
        "api/a/": frozenset({"api/b/c/"}),
        "api/b/c/": frozenset(),
    }
    assert (found.arrows, found.levels, found.cycle) == (2, 3, ())
    assert found.chain == ("api/app.py", "api/a/", "api/b/c/")


def test_a_cycle_is_found() -> None:
    """Two folders that import each other, also inside a function, are named."""
    files = (
        parse("api/a/x.py", "from api.b.y import go\n\ngo()\n"),
        parse("api/b/y.py", "def go() -> None:\n    from api.a import x\n\n    print(x)\n\n\nz = 1\n"),
    )
    assert set(structure_of("api", files).cycle) == {"api/a/", "api/b/"}
