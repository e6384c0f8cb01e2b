"""Counts the folders of a package, the imports between them and their levels: `python -m tests.architecture.structure`.

Each folder is a box, and so is each file that stands directly in the package. An arrow leads from one box to another
that it imports. A box stands one level above the highest of those that it imports.
"""

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from tests.architecture.tree import Source, sources


@dataclass(frozen=True, slots=True)
class Structure:
    """The boxes of a package with those that each imports; `cycle` names boxes that import each other in a circle."""

    boxes: Mapping[str, frozenset[str]]
    cycle: tuple[str, ...]
    chain: tuple[str, ...]
    """The longest chain of imports, from the top down; empty if there is a cycle."""

    @property
    def arrows(self) -> int:
        """How many pairs of boxes have an import."""
        return sum(map(len, self.boxes.values()))

    @property
    def levels(self) -> int:
        """How many levels the boxes stand on."""
        return len(self.chain)


def read_structure(package: str) -> Structure:
    """Return the structure of a package of the repository."""
    return structure_of(package, sources(package))


def structure_of(package: str, files: Iterable[Source]) -> Structure:
    """Return the structure of the files of a package; a file that holds nothing but its docstring is no box."""
    modules = {source.module: source for source in files if len(source.tree.body) > 1}
    boxes: dict[str, set[str]] = {_box_of(package, source): set() for source in modules.values()}
    for source in modules.values():
        box = _box_of(package, source)
        imported = {_find_module(name, modules) for name in _imports_of(source)}
        boxes[box] |= {_box_of(package, modules[module]) for module in imported if module} - {box}
    frozen = {box: frozenset(imported) for box, imported in boxes.items()}
    try:
        order = [*TopologicalSorter(frozen).static_order()]
    except CycleError as error:
        return Structure(frozen, tuple(error.args[1]), ())
    chains: dict[str, tuple[str, ...]] = {}
    for box in order:
        chains[box] = (box, *max((chains[below] for below in sorted(frozen[box])), key=len, default=()))
    return Structure(frozen, (), max(chains.values(), key=len, default=()))


def _box_of(package: str, source: Source) -> str:
    folder = source.path.rpartition("/")[0]
    return source.path if folder == package else f"{folder}/"


def _imports_of(source: Source) -> Iterator[str]:
    """Yield the names that a file imports, in functions too."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _find_module(name: str, modules: Mapping[str, Source]) -> str | None:
    """Return the module that an imported name is, or that defines it."""
    parent = name.rpartition(".")[0]
    return next((module for module in (name, parent) if module in modules), None)


if __name__ == "__main__":
    for named in sys.argv[1:] or ("api", "benchmarks"):
        found = read_structure(named)
        counts = f"{len(found.boxes)} boxes, {found.arrows} arrows, {found.levels} levels"
        print(f"{named}: {counts}; cycle: {' -> '.join(found.cycle) or 'none'}")  # noqa: T201 - the program's output
        print(f"  longest chain: {' -> '.join(found.chain)}")  # noqa: T201 - as above
