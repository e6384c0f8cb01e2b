"""The import contracts that import-linter does not offer."""

import sys
from collections.abc import Collection
from typing import Any

import grimp
from importlinter import Contract, ContractCheck, fields, output


class StandardLibraryOnly(Contract):
    """The modules and packages of `modules` import only each other, `others` and the standard library."""

    modules: Any = fields.ListField(subfield=fields.StringField())
    others: Any = fields.ListField(subfield=fields.StringField(), required=False)

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002 - import-linter gives it
        """Return the imports that lead elsewhere, as `importer -> imported` lines."""
        listed = {module for name in self.modules for module in (name, *graph.find_descendants(name))}
        allowed = listed | set(sys.stdlib_module_names)
        strays = [
            f"{importer} -> {imported}"
            for importer in sorted(listed)
            for imported in sorted(graph.find_modules_directly_imported_by(importer) - allowed)
            if imported.partition(".")[0] not in (self.others or ())
        ]
        return ContractCheck(kept=not strays, metadata={"strays": strays})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print the imports that lead elsewhere."""
        for stray in check.metadata["strays"]:
            output.print_error(f"-   {stray}", bold=False)


class FolderLayers(Contract):
    """Each folder of `package` imports only folders in lower layers, and each module belongs to a listed folder.

    A module belongs to the longest name in `layers` that it begins with, so a folder and its subfolders may stand in
    different layers. Folders in one layer, divided by `|`, do not import each other.
    """

    package: Any = fields.StringField()
    layers: Any = fields.ListField(subfield=fields.StringField())

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002 - import-linter gives it
        """Return the imports that lead upwards or sideways, and the modules that belong to no folder."""
        levels = {
            f"{self.package}.{name.strip()}": -number
            for number, layer in enumerate(self.layers)
            for name in layer.split("|")
        }
        folders = {module: _folder_of(module, levels) for module in graph.modules if module.startswith(self.package)}
        faults = [f"{name} has no module" for name in levels if name not in folders.values()]
        for module, folder in sorted(folders.items()):
            imported = sorted(graph.find_modules_directly_imported_by(module) & folders.keys())
            # A package above the listed folders holds nothing but its docstring.
            if not folder and (imported or not graph.find_children(module)):
                faults.append(f"{module} belongs to no layer")
            faults += [
                f"{module} -> {other}"
                for other in imported
                if folder and folders[other] != folder and levels[folder] <= levels.get(folders[other], -len(levels))
            ]
        return ContractCheck(kept=not faults, metadata={"faults": faults})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print the faults."""
        for fault in check.metadata["faults"]:
            output.print_error(f"-   {fault}", bold=False)


class OwnRepository(Contract):
    """A module of `package` imports no `repository` but that of its own folder."""

    package: Any = fields.StringField()

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002 - import-linter gives it
        """Return the imports of other folders' repositories."""
        faults = [
            f"{module} -> {repository}"
            for repository in sorted(graph.find_descendants(self.package))
            if (folder := _folder_of_repository(repository))
            for module in sorted(graph.find_modules_that_directly_import(repository))
            if module.startswith(f"{self.package}.")
            and module.rpartition(".")[0] not in {folder, f"{folder}.repository"}
        ]
        return ContractCheck(kept=not faults, metadata={"faults": faults})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print the faults."""
        for fault in check.metadata["faults"]:
            output.print_error(f"-   {fault}", bold=False)


def _folder_of_repository(module: str) -> str:
    """Return the folder whose SQL a module holds, or nothing for a module that holds none."""
    folder, found, _ = f"{module}.".partition(".repository.")
    return folder if found else ""


def _folder_of(module: str, names: Collection[str]) -> str:
    """Return the longest name that a module begins with, or nothing."""
    prefixes = [name for name in names if f"{module}.".startswith(f"{name}.")]
    return max(prefixes, key=len, default="")
