"""A wall that import-linter has no word for: modules that stand on the standard library and on each other alone."""

import sys
from typing import Any

import grimp
from importlinter import Contract, ContractCheck, fields, output


class StandardLibraryOnly(Contract):
    """No module of `modules`, packages with all that is in them, imports anything else than these and Python's own."""

    modules: Any = fields.ListField(subfield=fields.StringField())

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002 - import-linter gives it
        """Return the imports that lead elsewhere, as `importer -> imported` lines."""
        listed = {module for name in self.modules for module in (name, *graph.find_descendants(name))}
        allowed = listed | set(sys.stdlib_module_names)
        strays = [
            f"{importer} -> {imported}"
            for importer in sorted(listed)
            for imported in sorted(graph.find_modules_directly_imported_by(importer) - allowed)
        ]
        return ContractCheck(kept=not strays, metadata={"strays": strays})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print the imports that lead elsewhere."""
        for stray in check.metadata["strays"]:
            output.print_error(f"-   {stray}", bold=False)
