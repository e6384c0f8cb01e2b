"""Reads the tables of words in `words/*.toml`."""

import tomllib
from importlib.resources import files
from typing import Any


def read_table(name: str) -> dict[str, Any]:
    """Return a table; each module reads its own once, at import."""
    file = files("ai.workflows.csv_mapping") / "words" / f"{name}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))
