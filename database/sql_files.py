"""Loads long statements from the folder `sql/` beside the module that runs them."""

from pathlib import Path


def load_statement(module_file: str, name: str) -> str:
    """Return the statement in `sql/<name>.sql` beside a module, which gives its `__file__`."""
    return (Path(module_file).parent / "sql" / f"{name}.sql").read_text(encoding="utf-8")
